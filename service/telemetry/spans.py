"""Spans of the requests, sent to an OpenTelemetry collector. An optional extra: `otel`.

A request is a server span with three children, decode, queue and inference. What the caller's traceparent says of the
trace and of sampling holds. Everything that the setting does not say is in OpenTelemetry's own OTEL_* variables.
"""

import os
import threading
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, Self

from harmonic import __version__
from service.errors import StartError
from service.telemetry.exchange import Answered, Exchange

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

_LAST_SECONDS = 2.0
_NANO = 1_000_000_000
_CARRIED = (b"traceparent", b"tracestate")


class Spans:
    """Makes the spans of requests. provider, exporter: where they gather, and where they go; closed with this."""

    def __init__(self, provider: "TracerProvider", exporter: "OTLPSpanExporter") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._exporter = exporter
        self._tracer = provider.get_tracer("harmonic", __version__)
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def to(cls, endpoint: str) -> Self:
        """Send to a collector's address for traces over HTTP. Raises StartError without the extra `otel`."""
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise StartError(
                f"otlp_endpoint is set, and {error.name} is not installed. "
                "Install harmonic-inference[otel], or unset it."
            ) from error
        name = os.environ.get("OTEL_SERVICE_NAME", "harmonic")
        resource = Resource.create({"service.name": name, "service.version": __version__})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=endpoint)
        provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider, exporter)

    def begin(self, exchange: Exchange, scope: MutableMapping[str, Any]) -> "Span":
        """The server span; the exchange takes its ids, so that the log lines carry them."""
        from opentelemetry.trace import SpanKind, format_span_id, format_trace_id

        carrier = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIED}
        parent = self._propagator.extract(carrier)
        span = self._tracer.start_span(scope["method"], parent, kind=SpanKind.SERVER)
        found = span.get_span_context()
        exchange.trace_id, exchange.span_id = format_trace_id(found.trace_id), format_span_id(found.span_id)
        return span

    def end(self, span: "Span", exchange: Exchange, method: str, route: str) -> None:
        """Close the server span, with what is known by now."""
        from opentelemetry.trace import StatusCode

        if span.is_recording():
            span.update_name(f"{method} {route}")
            span.set_attribute("http.request.method", method)
            span.set_attribute("http.route", route)
            span.set_attribute("http.response.status_code", exchange.status)
            span.set_attribute("harmonic.request_id", exchange.request_id)
            if exchange.status >= 500:
                span.set_status(StatusCode.ERROR)
            if exchange.answered is not None:
                self._describe(span, exchange.answered)
        span.end()

    def close(self) -> None:
        """Send what has gathered, and end. Blocking; a collector that is away is tried for two seconds."""
        hurry = threading.Timer(_LAST_SECONDS, self._exporter.shutdown)  # ends the exporter's waiting between two tries
        hurry.start()
        self._provider.shutdown()
        hurry.cancel()

    def _describe(self, span: "Span", answered: Answered) -> None:
        """The model's name and company as attributes, the phases as children, laid back from the moment they ended."""
        from opentelemetry.trace import set_span_in_context

        span.set_attribute("harmonic.model", answered.model)
        span.set_attribute("harmonic.version", answered.version)
        span.set_attribute("harmonic.data.images", answered.images)
        span.set_attribute("harmonic.batch_size", answered.batch_size)
        within = set_span_in_context(span)
        end = answered.ended_ns
        phases = {"inference": answered.inference_s, "queue": answered.queue_s, "decode": answered.decode_s}
        for name, seconds in phases.items():
            start = end - round(seconds * _NANO)
            self._tracer.start_span(name, within, start_time=start).end(end)
            end = start
