"""How an integration reaches its provider: `http_config`, `tls_config`, `sigv4`; what all integrations share. Pure."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from alertagent.core.alertmanager.fields import (
    File,
    Flag,
    Secret,
    Section,
    Since,
    Text,
    Texts,
    Url,
)

# Those that the HTTP client of Prometheus sets itself.
_RESERVED_HEADERS = frozenset(
    {
        "Authorization",
        "Host",
        "Content-Encoding",
        "Content-Length",
        "Content-Type",
        "User-Agent",
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Www-Authenticate",
        "Accept-Encoding",
    }
)

TlsVersion = Literal["TLS10", "TLS11", "TLS12", "TLS13", ""]


class Tls(Section):
    at_most_one: ClassVar = (
        ("ca", "ca_file", "ca_ref"),
        ("cert", "cert_file", "cert_ref"),
        ("key", "key_file", "key_ref"),
    )

    ca: Annotated[Text | None, Since("0.26")] = None
    ca_file: File | None = None
    ca_ref: Annotated[Text | None, Since("0.28")] = None
    cert: Annotated[Text | None, Since("0.26")] = None
    cert_file: File | None = None
    cert_ref: Annotated[Text | None, Since("0.28")] = None
    key: Annotated[Secret | None, Since("0.26")] = None
    key_file: File | None = None
    key_ref: Annotated[Text | None, Since("0.28")] = None
    server_name: Text | None = None
    insecure_skip_verify: Flag | None = None
    min_version: TlsVersion | None = None
    max_version: TlsVersion | None = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        has_cert, has_key = self.has("cert", "cert_file", "cert_ref"), self.has("key", "key_file", "key_ref")
        if has_cert != has_key:
            yield None, "a client certificate and its key must be given together"
        if self.min_version and self.max_version and self.min_version > self.max_version:
            yield "max_version", "must not be lower than min_version"


class BasicAuth(Section):
    at_most_one: ClassVar = (
        ("username", "username_file", "username_ref"),
        ("password", "password_file", "password_ref"),
    )

    username: Text | None = None
    username_file: Annotated[File | None, Since("0.26")] = None
    username_ref: Annotated[Text | None, Since("0.28")] = None
    password: Secret | None = None
    password_file: File | None = None
    password_ref: Annotated[Text | None, Since("0.28")] = None


class Authorization(Section):
    at_most_one: ClassVar = (("credentials", "credentials_file", "credentials_ref"),)

    type: Text | None = None
    credentials: Secret | None = None
    credentials_file: File | None = None
    credentials_ref: Annotated[Text | None, Since("0.28")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if (self.type or "").strip().lower() == "basic":
            yield "type", "for basic authentication use basic_auth"


class Proxy(Section):
    """The fields about a proxy, which stand among others."""

    proxy_url: Url | None = None
    no_proxy: Annotated[Text | None, Since("0.26")] = None
    proxy_from_environment: Annotated[Flag | None, Since("0.26")] = None
    proxy_connect_header: Annotated[Mapping[str, tuple[Secret, ...] | None] | None, Since("0.26")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if self.proxy_from_environment:
            for name in ("proxy_url", "no_proxy"):
                if self.has(name):
                    yield name, "cannot be given together with proxy_from_environment"
        elif not self.has("proxy_url"):
            for name in ("no_proxy", "proxy_connect_header"):
                if getattr(self, name):
                    yield name, "needs proxy_url"


class OAuth2(Proxy):
    at_most_one: ClassVar = (("client_secret", "client_secret_file", "client_secret_ref"),)
    at_least_one: ClassVar = (("client_id",), ("token_url",))

    client_id: Text | None = None
    client_secret: Secret | None = None
    client_secret_file: File | None = None
    client_secret_ref: Annotated[Text | None, Since("0.28")] = None
    scopes: Texts | None = None
    token_url: Text | None = None
    endpoint_params: Mapping[str, Text | None] | None = None
    tls_config: Tls | None = None


class Header(Section):
    values: Texts | None = None
    secrets: tuple[Secret, ...] | None = None
    files: Texts | None = None


Headers = Mapping[str, Header | None]


class HttpConfig(Proxy):
    at_most_one: ClassVar = (
        ("bearer_token", "bearer_token_file"),
        ("basic_auth", "oauth2", "bearer_token", "authorization"),
        ("basic_auth", "oauth2", "bearer_token_file", "authorization"),
    )

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    bearer_token: Secret | None = None
    bearer_token_file: File | None = None
    tls_config: Tls | None = None
    follow_redirects: Flag | None = None
    enable_http2: Flag | None = None
    http_headers: Annotated[Headers | None, Since("0.28")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        for name in self.http_headers or ():
            if name.title() in _RESERVED_HEADERS:
                yield "http_headers", "one of the headers is set by the HTTP client itself and cannot be given"


class SigV4(Section):
    region: Text | None = None
    access_key: Text | None = None
    secret_key: Secret | None = None
    profile: Text | None = None
    role_arn: Text | None = None
    external_id: Annotated[Text | None, Since("0.31")] = None
    use_fips_sts_endpoint: Annotated[Flag | None, Since("0.28")] = None
    tags: Annotated[Mapping[str, Text | None] | None, Since("0.33")] = None

    def problems(self) -> Iterator[tuple[str | None, str]]:
        yield from super().problems()
        if self.has("access_key") != self.has("secret_key"):
            yield None, "access_key and secret_key must be given together"


class Integration(Section):
    send_resolved: Flag | None = None


class HttpIntegration(Integration):
    http_config: HttpConfig | None = None
