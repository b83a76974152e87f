"""Remove the backgrounds of photos through an alphacut server.

from alphacut import Client

with Client("127.0.0.1:50051") as client:
    client.remove_background("photo.jpg").save("photo.png")

Names are loaded when first used: the server imports `alphacut.v1` alone, and a command line's `--help` no gRPC.
"""

import importlib
from typing import TYPE_CHECKING

from alphacut.version import __version__

if TYPE_CHECKING:
    from alphacut.aio import AsyncClient
    from alphacut.channel import Tls
    from alphacut.client import Client
    from alphacut.cutout import (
        Box,
        Cutout,
        DetectedObject,
        ModeInfo,
        ModelInfo,
        StageTiming,
        StreamResult,
    )
    from alphacut.errors import (
        AlphacutError,
        BackgroundNotLoadable,
        Cancelled,
        DeadlineExceeded,
        Draining,
        EngineFailed,
        FieldViolation,
        ImageNotLoadable,
        ImageTooLarge,
        InvalidImage,
        InvalidOption,
        MessageTooLarge,
        MissingDependency,
        ModelCorrupt,
        ModelNotReady,
        NotServed,
        Overloaded,
        PermissionDenied,
        Reason,
        ResolutionTooBig,
        ServerFault,
        SourceMissing,
        Unauthenticated,
        Unavailable,
        UnknownModel,
        UrlNotFetched,
    )
    from alphacut.options import (
        Background,
        BackgroundFit,
        ImageFormat,
        Mode,
        Options,
        OptionWords,
        Priority,
        Quality,
        Shadow,
        ShadowType,
    )
    from alphacut.pictures import ImageInput
    from alphacut.retry import RetryPolicy
    from alphacut.urls import Url

__all__ = [
    "AlphacutError",
    "AsyncClient",
    "Background",
    "BackgroundFit",
    "BackgroundNotLoadable",
    "Box",
    "Cancelled",
    "Client",
    "Cutout",
    "DeadlineExceeded",
    "DetectedObject",
    "Draining",
    "EngineFailed",
    "FieldViolation",
    "ImageFormat",
    "ImageInput",
    "ImageNotLoadable",
    "ImageTooLarge",
    "InvalidImage",
    "InvalidOption",
    "MessageTooLarge",
    "MissingDependency",
    "Mode",
    "ModeInfo",
    "ModelCorrupt",
    "ModelInfo",
    "ModelNotReady",
    "NotServed",
    "OptionWords",
    "Options",
    "Overloaded",
    "PermissionDenied",
    "Priority",
    "Quality",
    "Reason",
    "ResolutionTooBig",
    "RetryPolicy",
    "ServerFault",
    "Shadow",
    "ShadowType",
    "SourceMissing",
    "StageTiming",
    "StreamResult",
    "Tls",
    "Unauthenticated",
    "Unavailable",
    "UnknownModel",
    "Url",
    "UrlNotFetched",
    "__version__",
]

# Where each name lives, but for those of `errors`, which are the most.
_HOMES = {
    "AsyncClient": "alphacut.aio",
    "Background": "alphacut.options",
    "BackgroundFit": "alphacut.options",
    "Box": "alphacut.cutout",
    "Client": "alphacut.client",
    "Cutout": "alphacut.cutout",
    "DetectedObject": "alphacut.cutout",
    "ImageFormat": "alphacut.options",
    "ImageInput": "alphacut.pictures",
    "Mode": "alphacut.options",
    "ModeInfo": "alphacut.cutout",
    "ModelInfo": "alphacut.cutout",
    "OptionWords": "alphacut.options",
    "Options": "alphacut.options",
    "Priority": "alphacut.options",
    "Quality": "alphacut.options",
    "RetryPolicy": "alphacut.retry",
    "Shadow": "alphacut.options",
    "ShadowType": "alphacut.options",
    "StageTiming": "alphacut.cutout",
    "StreamResult": "alphacut.cutout",
    "Tls": "alphacut.channel",
    "Url": "alphacut.urls",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'alphacut' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOMES.get(name, "alphacut.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
