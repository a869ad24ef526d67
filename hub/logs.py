"""Logging: structlog for ours, and the libraries' records through the same formatter."""

import logging
import sys

import structlog

from hub.settings import LogSettings


def configure_logging(settings: LogSettings) -> None:
    """Send everything to standard error, as text for people or as one JSON object a line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderer: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if settings.format == "json"
        # Its usual tracebacks print every local variable, credentials among them.
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            )
        ]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    # At DEBUG these would print what nobody needs, credentials among it (LIBRARIES.md of the design).
    for noisy in ("aiosqlite", "asyncio", "authlib", "httpcore2", "tortoise"):
        logging.getLogger(noisy).setLevel(max(logging.INFO, root.level))
    # Lines for every request to an identity provider, and for every file that changes.
    for noisy in ("httpx2", "watchfiles"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    # A line for every WebSocket that comes and goes says nothing that our own records don't.
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, root.level))
