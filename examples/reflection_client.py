"""Cut one photo knowing nothing but the server's address: messages and methods are asked for by gRPC reflection.

python examples/reflection_client.py photo.jpg photo.cutout.png

Needs grpcio and grpcio-reflection, and nothing of alphacut: any language with a reflection client can do the same.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "alphacut.v1.BackgroundRemovalService"
# gRPC refuses replies above 4 MiB unless told otherwise, and cut-outs are larger; the server sends up to 128 MiB.
OPTIONS = [("grpc.max_receive_message_length", 128 << 20)]


def main() -> int:
    """Return 0, or 1 after saying why there is no cut-out."""
    parser = argparse.ArgumentParser(description="Cut one photo by reflection.")
    parser.add_argument("photo", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--mode", default="MODE_FG_IMAGE", help="a value of the enum alphacut.v1.Mode")
    parser.add_argument("--server", default="127.0.0.1:50051")
    chosen = parser.parse_args()

    with grpc.insecure_channel(chosen.server, options=OPTIONS) as channel:
        try:
            content = cut(channel, chosen.photo.read_bytes(), chosen.mode)
        except grpc.RpcError as error:
            print(f"{error.code().name}: {error.details()}", file=sys.stderr)
            return 1
    chosen.output.write_bytes(content)
    print(f"{len(content)} bytes into {chosen.output}")
    return 0


def cut(channel: grpc.Channel, photo: bytes, mode: str) -> bytes:
    """Return the cut-out's file; raises grpc.RpcError."""
    pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
    method = pool.FindServiceByName(SERVICE).FindMethodByName("RemoveBackground")
    # The messages' types are not known before the server has told them.
    request: Any = GetMessageClass(method.input_type)()
    request.image.content = photo
    request.mode = pool.FindEnumTypeByName("alphacut.v1.Mode").values_by_name[mode].number
    call: Any = channel.unary_unary(
        f"/{SERVICE}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    content: bytes = call(request, timeout=20).image.content
    return content


if __name__ == "__main__":
    sys.exit(main())
