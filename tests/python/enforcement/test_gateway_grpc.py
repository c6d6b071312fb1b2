"""gRPC through the gateway, with grpcio on both sides."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from kit.gateway import HOST, Clients, Gateway, Identity, Upstream
from kit.harness import PATIENCE_SECONDS, Server


class Echo(grpc.GenericRpcHandler):
    """A service of octets: one answer, a stream of answers, and a failure."""

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        def one(request: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(context.invocation_metadata())
            context.set_trailing_metadata((("x-trailer", "kept"),))
            return metadata["cf-cert-verified"].encode() + b" " + request

        def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            yield from requests

        def fail(request: bytes, context: grpc.ServicerContext) -> bytes:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today")

        return {
            "/test.Echo/One": grpc.unary_unary_rpc_method_handler(one),
            "/test.Echo/Stream": grpc.stream_stream_rpc_method_handler(stream),
            "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(fail),
        }.get(call.method)


@pytest.fixture
def gateway(shared: Server, clients: Clients, tmp_path: Path) -> Iterator[Gateway]:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    upstream = Upstream()
    gateway = Gateway(shared, tmp_path / "gateway", upstream)
    gateway.lists["upstreams"] = [f"h2c://127.0.0.1:{port}"]
    gateway.write()
    try:
        yield gateway.start()
        gateway.stop()
    finally:
        gateway.kill()
        upstream.close()
        server.stop(None)


def channel(gateway: Gateway, client: Identity) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        gateway.identity.certificate.read_bytes(),
        client.key.read_bytes(),
        client.certificate.read_bytes(),
    )
    options = [
        ("grpc.ssl_target_name_override", HOST),
        ("grpc.default_authority", HOST),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    return grpc.secure_channel(f"127.0.0.1:{gateway.port}", credentials, options)


def test_calls_streams_failures_and_trailers_pass(gateway: Gateway, clients: Clients) -> None:
    with channel(gateway, clients.issue()) as calls:
        one = calls.unary_unary("/test.Echo/One")
        answer, call = one.with_call(b"hello", timeout=PATIENCE_SECONDS)
        assert answer == b"true hello"
        assert dict(call.trailing_metadata())["x-trailer"] == "kept"
        with pytest.raises(grpc.RpcError) as failure:
            calls.unary_unary("/test.Echo/Fail")(b"", timeout=PATIENCE_SECONDS)
        assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert failure.value.details() == "not today"
        many = [bytes([n]) * 10_000 for n in range(100)]
        stream = calls.stream_stream("/test.Echo/Stream")
        assert list(stream(iter(many), timeout=PATIENCE_SECONDS)) == many


def test_a_revocation_ends_an_open_stream(gateway: Gateway, clients: Clients) -> None:
    client, other = clients.issue(), clients.issue()

    def endless() -> Iterator[bytes]:
        yield b"first"
        event.wait(PATIENCE_SECONDS)

    import threading

    event = threading.Event()
    with channel(gateway, client) as calls, channel(gateway, other) as others:
        stream = calls.stream_stream("/test.Echo/Stream")(endless(), timeout=PATIENCE_SECONDS)
        kept = others.stream_stream("/test.Echo/Stream")(endless(), timeout=PATIENCE_SECONDS)
        assert next(stream) == next(kept) == b"first"
        clients.revoke(client)
        with pytest.raises(grpc.RpcError) as failure:
            next(stream)
        assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
        event.set()
        assert list(kept) == []
