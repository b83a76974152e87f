"""The standard health protocol, asked without the grpcio-health-checking package."""

from typing import TypeAlias

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

CHECK = "/grpc.health.v1.Health/Check"
SERVICE = "alphacut.v1.BackgroundRemovalService"
# grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING
_SERVING = 1

# HealthCheckRequest is one string and HealthCheckResponse one enum, both field 1: byte for byte what these wrappers
# are. Defining the real messages here would clash with the package's own in a process that has both.
Check: TypeAlias = "grpc.UnaryUnaryMultiCallable[StringValue, Int32Value]"


def request_for(service: str) -> StringValue:
    """Return the request that asks about one service; empty asks about the whole server."""
    return StringValue(value=service)


def is_serving(response: Int32Value) -> bool:
    """Tell whether the reply says SERVING."""
    return response.value == _SERVING
