"""Log lines on stderr, one format for the service and uvicorn: text for people, JSON for programs."""

import logging.config
from datetime import UTC, datetime
from typing import Literal

from pydantic_core import to_json

from service.telemetry.exchange import current

LogFormat = Literal["text", "json"]


def configure(level: str, log_format: LogFormat = "text", worker: int | None = None, owner: int = 0) -> None:
    """Set up logging for the process. level: least severe that is shown. worker: the number of this process, where
    several serve together, 0 for an owner of their models; every line tells it. owner: which, where there are several.
    """
    kinds: dict[LogFormat, type[logging.Formatter]] = {"text": TextFormatter, "json": JsonFormatter}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": kinds[log_format], "worker": worker, "owner": owner}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {"service.http.access": {"level": "INFO"}, "uvicorn.access": {"level": "CRITICAL"}},
        }
    )


class TextFormatter(logging.Formatter):
    """A line for people; it ends with the id of the request that it belongs to."""

    def __init__(self, worker: int | None = None, owner: int = 0) -> None:
        who = "" if worker is None else f" [worker {worker}]" if worker else f" [owner {owner or ''}".rstrip() + "]"
        super().__init__(f"%(asctime)s %(levelname)s %(name)s{who}: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line, an exception's trace if there is one, the request's id."""
        exchange = current()
        line = super().format(record)
        return f"{line} [request {exchange.request_id}]" if exchange else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message; request and trace where there is one; a record's facts."""

    def __init__(self, worker: int | None = None, owner: int = 0) -> None:
        super().__init__()
        self._worker = ({} if worker is None else {"worker": worker}) | ({"owner": owner} if owner else {})

    def format(self, record: logging.LogRecord) -> str:
        """The object as text without a line break."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self._worker,
            "message": record.getMessage(),
        }
        if exchange := current():
            ids = {"request_id": exchange.request_id, "trace_id": exchange.trace_id, "span_id": exchange.span_id}
            line |= {name: value for name, value in ids.items() if value}
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return to_json(line, fallback=str).decode()
