"""The gRPC services that the agent calls: information, configuration, cards, reservations, statistics (set up
by `serve`).

Two rules come from what the agent does with faults. A device stream that ends or raises is never opened again
until the agent restarts, whereas a plugin process that ends is started anew at once: so on trouble the
process leaves. And the configuration is always taken.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty as GoogleEmpty
from google.protobuf.message import Message

from gpu_device_plugin import __version__
from gpu_device_plugin.config import read_config, schema
from gpu_device_plugin.files import save_status
from gpu_device_plugin.groups import ReservationRefused, device_groups, group_stats, reservation
from gpu_device_plugin.log import log
from gpu_device_plugin.metrics import save_metrics
from gpu_device_plugin.watch import CardWatch
from gpu_device_plugin.watchdog import Watchdog, exit_now
from gpu_device_plugin.wire import base_pb2, device_pb2, go_plugin_pb2

NAME = "soundstage-gpu"
# The agent waits for the first list before the node is ready; a driver without persistence mode takes seconds
# to wake.
_FIRST_READING_S = 15.0
_TICK_S = 1.0
_STATUS_EVERY_S = 5.0
_BEFORE_LEAVING_S = 1.0  # the agent starts the plugin again without any pause of its own


class PluginServices:
    """The calls of one plugin process. Handlers run on the server's threads."""

    def __init__(self, watch: CardWatch, watchdog: Watchdog) -> None:
        self._watch = watch
        self._watchdog = watchdog
        self._streams = itertools.count()
        self._started_at = _now()

    def handlers(self) -> list[grpc.GenericRpcHandler]:
        base, device, plugin = base_pb2, device_pb2, go_plugin_pb2
        return [
            _service(
                "hashicorp.nomad.plugins.base.proto.BasePlugin",
                PluginInfo=_unary(self.plugin_info, base.PluginInfoRequest),
                ConfigSchema=_unary(self.config_schema, base.ConfigSchemaRequest),
                SetConfig=_unary(self.set_config, base.SetConfigRequest),
            ),
            _service(
                "hashicorp.nomad.plugins.device.DevicePlugin",
                Fingerprint=_stream(self.fingerprint, device.FingerprintRequest),
                Reserve=_unary(self.reserve, device.ReserveRequest),
                Stats=_stream(self.stats, device.StatsRequest),
            ),
            _service("plugin.GRPCController", Shutdown=_unary(self.shutdown, plugin.Empty)),
            _service("plugin.GRPCStdio", StreamStdio=_stream(self.stdio, GoogleEmpty)),
            _service(
                "plugin.GRPCBroker",
                StartStream=grpc.stream_stream_rpc_method_handler(
                    self.broker,
                    request_deserializer=plugin.ConnInfo.FromString,
                    response_serializer=_packed,
                ),
            ),
        ]

    def plugin_info(self, request: Message, context: grpc.ServicerContext) -> Message:
        self._watchdog.note_call()
        return base_pb2.PluginInfoResponse(
            type=base_pb2.DEVICE, plugin_api_versions=["v0.1.0"], plugin_version=__version__, name=NAME
        )

    def config_schema(self, request: Message, context: grpc.ServicerContext) -> Message:
        self._watchdog.note_call()
        return base_pb2.ConfigSchemaResponse(spec=schema())

    def set_config(self, request: base_pb2.SetConfigRequest, context: grpc.ServicerContext) -> Message:
        self._watchdog.note_call()
        config = read_config(request.msgpack_config)
        if config.problem:
            log("error", "this node announces no cards", problem=config.problem)
        self._watch.configure(config)
        return base_pb2.SetConfigResponse()

    def fingerprint(self, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        """The groups at once, and again whenever they change."""
        stream = next(self._streams)
        try:
            # A hanging driver must not hold up the node: then the cards of last time come first, marked as
            # faulty.
            self._watch.wait_for_first_reading(_FIRST_READING_S)
            announced: list[device_pb2.DeviceGroup] | None = None
            announced_at, status_at = "", 0.0
            while context.is_active():
                self._watchdog.heartbeat(stream)
                groups = device_groups(self._watch.cards(), self._watch.config)
                changed = groups != announced
                if changed:
                    announced, announced_at = groups, _now()
                    yield device_pb2.FingerprintResponse(device_group=groups)
                if changed or time.monotonic() - status_at > _STATUS_EVERY_S:
                    status_at = time.monotonic()
                    self._write_status(groups, announced_at, stream_open=True)
                self._watch.wait(_TICK_S)
            self._write_status(announced or [], announced_at, stream_open=False)
        except Exception as e:
            # See the module's sentence: raising would cost the node its cards for good.
            log("error", "announcing the cards failed", problem=f"{type(e).__name__}: {e}")
            time.sleep(_BEFORE_LEAVING_S)
            exit_now("announcing the cards failed", 1)
        finally:
            self._watchdog.end_stream(stream)

    def reserve(self, request: device_pb2.ReserveRequest, context: grpc.ServicerContext) -> Message:
        # The first call to a plugin that was started again may be this one.
        self._watch.wait_for_first_reading(_FIRST_READING_S)
        try:
            granted = reservation(request.device_ids, self._watch.cards(), self._watch.config)
        except ReservationRefused as e:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(e))
        return device_pb2.ReserveResponse(container_res=granted)

    def stats(self, request: device_pb2.StatsRequest, context: grpc.ServicerContext) -> Iterator[Message]:
        interval_s = max(1.0, request.collection_interval.ToTimedelta().total_seconds())
        due = time.monotonic()
        while context.is_active():
            if time.monotonic() >= due:
                due = time.monotonic() + interval_s
                groups = group_stats(self._watch.cards(), self._watch.config, time.time())
                yield device_pb2.StatsResponse(groups=groups)
            # In short steps, so that the thread is free soon after the agent hung up.
            time.sleep(min(_TICK_S, interval_s))

    def shutdown(self, request: Message, context: grpc.ServicerContext) -> Message:
        # After the answer has left: an agent that gets none waits before it kills.
        threading.Timer(0.2, exit_now, ("the agent asked for it", 0)).start()
        return go_plugin_pb2.Empty()

    def stdio(self, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        """The agent wants this stream open; there is nothing to send, since the log goes to stderr
        directly."""
        while context.is_active():
            time.sleep(_TICK_S)
        yield from ()

    def broker(self, requests: Iterable[Message], context: grpc.ServicerContext) -> Iterator[Message]:
        """Further connections, which a device plugin never needs; the stream only has to stay open."""
        try:
            for _ in requests:
                continue
        except grpc.RpcError:
            return  # the agent hung up
        yield from ()

    def _write_status(
        self, groups: list[device_pb2.DeviceGroup], announced_at: str, *, stream_open: bool
    ) -> None:
        config = self._watch.config
        status: dict[str, Any] = {
            "pid": os.getpid(),
            "version": __version__,
            "started_at": self._started_at,
            "written_at": _now(),
            "stream_open": stream_open,
            "announced_at": announced_at,
            "share_mib": config.share_mib,
            "problem": self._watch.problem,
            "devices": {device.id: device.healthy for group in groups for device in group.devices},
        }
        try:
            save_status(config.state_dir, status)
        except OSError as e:
            log("warn", "the status cannot be kept", folder=str(config.state_dir), problem=str(e))
        if config.metrics_dir is not None:
            try:
                save_metrics(config.metrics_dir, self._watch.cards())
            except OSError as e:
                log("warn", "the metrics cannot be written", folder=str(config.metrics_dir), problem=str(e))


def _service(name: str, **methods: grpc.RpcMethodHandler[Any, Any]) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(name, methods)


def _unary(handle: Callable[..., Message], request: type[Message]) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=_packed
    )


def _stream(
    handle: Callable[..., Iterator[Message]], request: type[Message]
) -> grpc.RpcMethodHandler[Any, Any]:
    return grpc.unary_stream_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=_packed
    )


def _packed(message: Message) -> bytes:
    return message.SerializeToString()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
