"""gRPC health as clients ask for it; the library's typed stub lacks its methods."""

import grpc
from grpc_health.v1 import health_pb2

from support.server import HANG_S


async def health_status(channel: grpc.aio.Channel, service: str = "") -> int:
    """Ask once; returns a HealthCheckResponse.ServingStatus. Raises AioRpcError, NOT_FOUND for unknown names."""
    check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = await check(health_pb2.HealthCheckRequest(service=service), timeout=HANG_S)
    return answer.status


def watch_health(
    channel: grpc.aio.Channel, service: str = ""
) -> "grpc.aio.UnaryStreamCall[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]":
    """Watch: an answer now and one for each change."""
    watch: grpc.aio.UnaryStreamMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
    watch = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    return watch(health_pb2.HealthCheckRequest(service=service), timeout=HANG_S)
