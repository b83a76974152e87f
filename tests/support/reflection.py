"""A client that knows a service by reflection alone: no stubs, no proto files, only what the server tells of itself."""

from collections.abc import Iterator

import grpc
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "alphacut.v1.BackgroundRemovalService"


class ReflectedService:
    """Calls methods by name, with fields by name, over one connection."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        database = ProtoReflectionDescriptorDatabase(channel)
        self.services = tuple(database.get_services())
        self._pool = descriptor_pool.DescriptorPool(database)
        self._service = self._pool.FindServiceByName(SERVICE)

    def new(self, method: str) -> Message:
        """Return an empty request of a method."""
        return message_factory.GetMessageClass(self._method(method).input_type)()

    def call(self, method: str, request: Message | None = None, *, timeout_s: float = 30.0) -> Message:
        """Call a unary method and return its answer."""
        found = self._method(method)
        answer = message_factory.GetMessageClass(found.output_type)
        send: grpc.UnaryUnaryMultiCallable[Message, Message] = self._channel.unary_unary(
            f"/{SERVICE}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        return send(request or self.new(method), timeout=timeout_s)

    def enum_value(self, enum: str, name: str) -> int:
        """Return the number of an enum's value."""
        return int(self._pool.FindEnumTypeByName(enum).values_by_name[name].number)

    def _method(self, name: str) -> MethodDescriptor:
        return self._service.methods_by_name[name]


def services_of(channel: grpc.Channel, version: str) -> list[str]:
    """Ask one version of the reflection service, `v1` or `v1alpha`, for the services."""
    ask = channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    def questions() -> Iterator[reflection_pb2.ServerReflectionRequest]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    (answer,) = ask(questions(), timeout=30)
    return [service.name for service in answer.list_services_response.service]
