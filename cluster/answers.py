"""What an API server's answer, or the lack of one, means: aiohttp's errors and HTTP statuses become ours."""

import re
import ssl
from collections.abc import Iterable

import aiohttp
import msgspec

from cluster.errors import ApiError, Cause, Silent, Unreachable

_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: float | None = None


class Status(msgspec.Struct, frozen=True, rename="camel"):
    """The `Status` that Kubernetes sends instead of an object."""

    kind: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None

    def error(self, *, status: int, retry_after: float | None = None) -> ApiError:
        details = self.details or StatusDetails()
        return ApiError(
            status,
            reason=self.reason,
            message=self.message,
            causes=details.causes,
            retry_after=details.retry_after_seconds if retry_after is None else retry_after,
        )


def api_error(status: int, body: bytes, *, retry_after: str | None = None) -> ApiError:
    """The error of an HTTP answer. A body that is no Kubernetes Status is never quoted."""
    try:
        said = msgspec.json.decode(body, type=Status)
    except msgspec.DecodeError:
        said = Status()
    if said.kind != "Status":
        said = Status()
    return said.error(status=status, retry_after=_seconds(retry_after))


def warnings(headers: Iterable[str]) -> tuple[str, ...]:
    """The texts of `Warning: 299 - "…"` headers (RFC 7234), as the API server and its webhooks send them."""
    found = (text for header in headers for text in _WARNING.findall(header))
    return tuple(re.sub(r"\\(.)", r"\1", text) for text in found)


def unreachable(error: Exception, *, host: str) -> Unreachable:
    """Why no usable answer came from `host`, as a sentence that a person can act on."""
    kind = Silent if isinstance(error, aiohttp.SocketTimeoutError) else Unreachable
    return kind(f"{host}: {_explain(error)}")


def _explain(error: Exception) -> str:  # noqa: C901 - a table, one line a cause
    match error:
        case aiohttp.ClientConnectorDNSError():
            return (
                "the name can't be resolved. Check the server's address in the kubeconfig and the hub's DNS"
            )
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as why):
            return (
                f"the server's certificate can't be trusted ({why.verify_message}). "
                "Check certificate-authority and tls-server-name in the kubeconfig"
            )
        case aiohttp.ClientProxyConnectionError():
            return "the proxy can't be reached. Check proxy-url in the kubeconfig"
        case aiohttp.ClientHttpProxyError(status=status):
            return f"the proxy refuses to connect ({status}). Check proxy-url in the kubeconfig"
        case aiohttp.ClientSSLError():
            return f"TLS failed ({error}). Check the client certificate and the server's address"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "the connection is refused. Check that the API server runs and that its port is right"
        case aiohttp.ClientConnectorError(os_error=ConnectionError()):
            return "the connection is cut before TLS stands. Check what lies between hub and cluster"
        case aiohttp.ClientConnectorError(os_error=why):
            return f"no connection ({why.strerror or why}). Check route and firewalls between hub and cluster"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time. Check the route and firewalls between hub and cluster"
        case TimeoutError():
            return "the API server didn't answer in time"
        case msgspec.DecodeError():
            return "the answer isn't that of a Kubernetes API server. Check the server's address"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | ConnectionError():
            return "the API server cut the connection"
        case _:
            return f"the request failed ({type(error).__name__}: {error})"


def _seconds(retry_after: str | None) -> float | None:
    """Kubernetes sends seconds only; a proxy's date counts as not sent."""
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None
