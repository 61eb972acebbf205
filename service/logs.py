"""Log lines on stderr, one format for the service and uvicorn."""

import logging.config


def configure(level: str, access_log: bool) -> None:
    """Set up logging for the process. level: least severe that is shown. access_log: a line for every request."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
            "loggers": {"uvicorn.access": {"level": "INFO" if access_log else "WARNING"}},
        }
    )
