"""Every setting, its default and what it means; `config.example.yaml` is made from this file.

A flag beats the environment (`ALERTAGENT_<SECTION>__<KEY>`), that beats the file, that beats the default.
A secret may stand in a file of its own: `auth.admin_token_file` instead of `auth.admin_token`.
"""

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from alertagent.kernel.durations import format_duration
from alertagent.kernel.errors import Fatal
from alertagent.kernel.urls import split_url
from alertagent.storage.sealing import read_keys
from alertagent.web.errors import did_you_mean
from alertagent.web.models import Duration

# What pydantic would say with names of classes.
_REASONS = {
    "model_type": "it must have keys below it",
    "path_type": "it must be a path",
    "tuple_type": 'it must be a list, such as ["10.0.0.0/8"]',
}

ENV_PREFIX = "ALERTAGENT_"
_FILE_TWIN = "_file"
_HOST_AND_PORT = re.compile(r"(?:\[[^\[\]]+\]|[^:\[\]]*)(?::[0-9]{0,5})?")

# Of no time at all each request would be given up, each alert be over, and each task be taken away at once.
_Moment = Annotated[Duration, Field(ge=timedelta(seconds=1))]


class Section(BaseModel):
    """One part of the file. A secret given by `…_file` is read when the settings are.

    What is empty is as if it were not there: a variable that a deployment leaves empty must not become an address
    that listens everywhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        found = dict(values)
        for name in [name for name in found if str(name).endswith(_FILE_TWIN) and found[name]]:
            secret = name.removesuffix(_FILE_TWIN)
            if found.get(secret):
                raise ValueError(f'"{secret}" and "{name}" are both set; keep one')
            found[secret] = _secret_in(name, Path(str(found[name])))
        return {name: value for name, value in found.items() if value != "" or name not in cls.model_fields}


class ServerSettings(Section):
    host: Annotated[str, Field(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8080
    external_url: Annotated[
        str | None,
        Field(
            description="How people reach this server, for links in messages: without it they have none to the page. "
            "Elsewhere the address above stands in."
        ),
    ] = None

    @field_validator("external_url")
    @classmethod
    def _can_be_opened(cls, url: str | None) -> str | None:
        parts = split_url(url or "")
        if url is not None and (parts.scheme not in {"http", "https"} or not parts.netloc or not url.isprintable()):
            raise ValueError("this is no address that people can open; write it as https://alertagent.example.org")
        return url


class DatabaseSettings(Section):
    url: Annotated[
        SecretStr | None,
        Field(description="postgresql://user:password@host/database, 14 or newer. Empty: an embedded PostgreSQL."),
    ] = None
    url_file: Annotated[Path | None, Field(description="A file that holds the URL.")] = None
    _url_is_one = field_validator("url")(lambda url: _server_url(url, "postgresql", "postgres"))
    connections: Annotated[int, Field(ge=4, le=500, description="The most connections this process opens.")] = 10


class RedisSettings(Section):
    url: Annotated[
        SecretStr | None,
        Field(
            description="redis://, rediss:// (TLS) or unix://, redis+sentinel://host,host/service or "
            "redis+cluster://host,host; Redis 6.2 or Valkey. Empty: an embedded Valkey."
        ),
    ] = None
    url_file: Annotated[Path | None, Field(description="A file that holds the URL.")] = None
    _url_is_one = field_validator("url")(lambda url: _redis_url(url))  # noqa: PLW0108 - it comes later


class AuthSettings(Section):
    admin_token: Annotated[
        SecretStr | None,
        Field(
            min_length=16,
            description="A fixed token that may do everything. Empty: the first start makes one and shows it once.",
        ),
    ] = None
    admin_token_file: Annotated[Path | None, Field(description="A file that holds the token.")] = None


class SecretSettings(Section):
    key: Annotated[
        SecretStr | None,
        Field(
            description="What secrets in the database are sealed under: 32 random bytes in base64, the same for all "
            "processes. Further lines are keys that open what is older. Empty: the first start makes secrets.key in "
            "data_dir."
        ),
    ] = None
    key_file: Annotated[Path | None, Field(description="A file that holds the key or keys.")] = None
    _keys_are_keys = field_validator("key")(lambda text: _keys(text))  # noqa: PLW0108 - it comes later


class OutgoingSettings(Section):
    allow_networks: Annotated[
        tuple[str, ...],
        Field(
            description="Private networks (CIDR) that channels, analyzers and query URLs may reach. "
            "Public addresses are always allowed, others never."
        ),
    ] = ()
    timeout: Annotated[_Moment, Field(description="How long one outgoing request may take.")] = timedelta(seconds=10)

    @model_validator(mode="after")
    def _networks_parse(self) -> Self:
        for network in self.allow_networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ValueError(f"allow_networks: {error}; write networks as 10.0.0.0/8") from error
        return self


class AlertSettings(Section):
    resolve_timeout: Annotated[
        _Moment, Field(description="An alert posted without an end counts as resolved after this silence.")
    ] = timedelta(minutes=5)
    stale_after: Annotated[
        _Moment,
        Field(description="An alert that Alertmanager said is firing counts as resolved after this silence."),
    ] = timedelta(hours=24)
    keep_ended: Annotated[
        Duration,
        Field(ge=timedelta(days=2), description="How long an alert that ended and its timeline stay in the database."),
    ] = timedelta(days=90)
    drop_labels: Annotated[
        tuple[str, ...],
        Field(
            description="Labels taken off every alert that comes in, such as replica or prometheus_replica, "
            "so that two Prometheus servers that watch the same things tell of one alert."
        ),
    ] = ()


class NotifySettings(Section):
    late_after: Annotated[
        Duration,
        Field(ge=timedelta(minutes=1), description="A message that could not be sent for this long is late."),
    ] = timedelta(minutes=5)
    digest_from: Annotated[
        int,
        Field(
            ge=2,
            le=1_000_000,
            description="So many late messages to one channel are sent as digests, oldest alerts first, "
            "instead of one by one.",
        ),
    ] = 5


class ConfigSettings(Section):
    silent_after: Annotated[_Moment, Field(description="A sidecar that has not reported for this long is silent.")] = (
        timedelta(minutes=2)
    )
    stale_after: Annotated[
        Duration, Field(description="A target that does not run what it should is told of after this long.")
    ] = timedelta(minutes=10)
    drift_shown_for: Annotated[
        Duration, Field(description="How long it is told of that somebody else changed a sidecar's file.")
    ] = timedelta(minutes=15)
    keep_history: Annotated[Duration, Field(description="How long past syncs stay in the database.")] = timedelta(
        days=30
    )
    forget_after: Annotated[
        Duration,
        Field(
            description="A silent sidecar is forgotten after this, if another of its cluster and type reports: "
            "replaced pods do not come back."
        ),
    ] = timedelta(days=1)


class QueueSettings(Section):
    lease: Annotated[_Moment, Field(description="How long a task stays with a worker that stopped answering.")] = (
        timedelta(seconds=10)
    )
    grace: Annotated[Duration, Field(description="How long running tasks may go on while the process stops.")] = (
        timedelta(seconds=8)
    )
    notification_workers: Annotated[
        int, Field(ge=1, le=1000, description="Tasks that put alerts into groups and tell channels, worked on at once.")
    ] = 100
    analysis_workers: Annotated[int, Field(ge=1, le=1000, description="Analyses worked on at once.")] = 8
    config_workers: Annotated[int, Field(ge=1, le=1000, description="Configuration changes worked on at once.")] = 2
    max_depth: Annotated[
        int,
        Field(
            ge=100,
            le=1_000_000,
            description="Alerts are refused with 503, to be sent again, while more notification tasks wait than this.",
        ),
    ] = 50_000
    max_age: Annotated[
        _Moment,
        Field(
            description="Alerts are refused with 503, to be sent again, while the oldest notification task is overdue "
            "for longer than this, although workers could have taken it.",
        ),
    ] = timedelta(hours=1)
    keep_ended: Annotated[Duration, Field(description="How long ended tasks stay in the database.")] = timedelta(days=7)


class PluginSettings(Section):
    directory: Annotated[
        Path | None,
        Field(
            description="A directory of plugins, files of Python that run in this process. "
            "Neither it nor a file in it may be writable for others than root and our own user."
        ),
    ] = None


class LogSettings(Section):
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least level that is written.")
    ] = "info"
    format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="JSON lines or for people; auto: for people on a terminal."),
    ] = "auto"


def default_data_dir() -> Path:
    """As root a place that the engines' own user can enter; a home directory is closed to it."""
    return Path("/var/lib/alertagent") if os.geteuid() == 0 else Path.home() / ".local/share/alertagent"


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, case_sensitive=False
    )

    data_dir: Annotated[
        Path,
        Field(
            default_factory=default_data_dir,
            description="Where the embedded engines and the key of secrets live. "
            "Default: /var/lib/alertagent for root, otherwise ~/.local/share/alertagent.",
        ),
    ]
    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    auth: AuthSettings = AuthSettings()
    secrets: SecretSettings = SecretSettings()
    outgoing: OutgoingSettings = OutgoingSettings()
    alerts: AlertSettings = AlertSettings()
    notify: NotifySettings = NotifySettings()
    configs: ConfigSettings = ConfigSettings()
    plugins: PluginSettings = PluginSettings()
    queue: QueueSettings = QueueSettings()
    log: LogSettings = LogSettings()

    @field_validator("data_dir", mode="before")
    @classmethod
    def _is_somewhere(cls, directory: Any) -> Any:
        return default_data_dir() if directory == "" else directory

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> tuple[Settings, dict[str, str]]:
    """The merged settings, and for each one that is not a default where it came from.

    Raises Fatal with one line for each mistake.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for source, values in (
        (str(file), _from_file(file) if file else {}),
        ("environment", _from_environment()),
        ("flag", dict(flags or {})),
    ):
        _merge(merged, values)
        origins.update({name: source for name, _ in flattened(values)})
    try:
        return Settings(**merged), origins
    except ValidationError as error:
        raise Fatal(_complaints(error, origins)) from error


def flattened(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """`{"server": {"port": 1}}` as `("server.port", 1)`."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def known_settings(model: type[BaseModel] = Settings, prefix: str = "") -> dict[str, FieldInfo]:
    """Every setting by its dotted name."""
    found: dict[str, FieldInfo] = {}
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            found |= known_settings(field.annotation, f"{name}.")
        else:
            found[prefix + name] = field
    return found


def describe(settings: Settings, origins: Mapping[str, str]) -> list[str]:
    """Every setting with its value and where that comes from; secrets stay hidden."""
    values = dict(flattened(settings.model_dump(mode="json")))
    return [
        f"{name}: {values.get(name)}  ({origins.get(name) or origins.get(name + _FILE_TWIN) or 'default'})"
        for name in known_settings()
    ]


def example() -> str:
    """`config.example.yaml`: every setting with its meaning and its default, commented out."""
    lines = [
        "# AlertAgent's settings. Everything has a default: an empty file, or none, is fine.",
        "# A flag beats the environment (ALERTAGENT_SERVER__PORT=8080), which beats this file.",
    ]
    section = ""
    for name, field in known_settings().items():
        head, _, key = name.rpartition(".")
        if head != section or not head:
            lines += ["", *([f"{head}:"] if head else [])]
            section = head
        indent = "  " if head else ""
        lines += [f"{indent}# {field.description}", f"{indent}# {key or name}: {_shown_default(_default_of(field))}"]
    return "\n".join(lines) + "\n"


def _default_of(field: FieldInfo) -> Any:
    """None for what depends on the machine; the description says how."""
    return None if field.default_factory is not None else field.default


def _shown_default(value: Any) -> str:
    if isinstance(value, timedelta):
        value = format_duration(value)
    if isinstance(value, tuple):
        value = list(value)
    return yaml.safe_dump(value).removesuffix("...\n").strip()


def _from_file(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        raise Fatal(f"cannot read the settings file {file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Fatal(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError:
        raise Fatal(f"{file} is nested too deeply to be settings") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise Fatal(f"{file} must hold sections such as `server:`, not a {type(content).__name__}")
    # A section whose keys are all commented out reads as null.
    known = Settings.model_fields
    return {str(name): value for name, value in content.items() if value is not None or name not in known}


def _from_environment() -> dict[str, Any]:
    known = {ENV_PREFIX + name.upper().replace(".", "__"): field for name, field in known_settings().items()}
    # The sidecar's options have one underscore too, but no name of theirs is a setting's.
    half_spelled = {name.replace("__", "_") for name in known}
    for name, value in os.environ.items():
        spelled = name.upper()
        if spelled in known:
            _require_list(name, value, known[spelled])
        elif spelled.startswith(ENV_PREFIX) and ("__" in name or spelled in half_spelled) and not _is_link(value):
            raise Fatal(f"unknown setting {name} in the environment.{did_you_mean(spelled, known)}")
    try:
        source = EnvSettingsSource(Settings)
        source.env_vars = {name: value for name, value in source.env_vars.items() if not _is_for_clients(name, value)}
        return source()
    except (ValueError, TypeError) as error:
        raise Fatal(f"cannot read the environment: {error}") from error


def _is_link(value: str) -> bool:
    """Kubernetes tells pods of a service called alertagent-server by ALERTAGENT_SERVER_PORT=tcp://10.0.0.1:80."""
    return value.startswith(("tcp://", "udp://"))


def _is_for_clients(name: str, value: str | None) -> bool:
    """ALERTAGENT_SERVER tells commands which server to ask; as the section of that name it would be an object."""
    return name.lower() == f"{ENV_PREFIX}SERVER".lower() and not (value or "").lstrip().startswith("{")


def _require_list(name: str, value: str, field: FieldInfo) -> None:
    """Raises Fatal where a list is wanted and the text is none."""
    if get_origin(field.annotation) is not tuple:
        return
    try:
        is_list = isinstance(json.loads(value), list)
    except ValueError:
        is_list = False
    if not is_list:
        raise Fatal(f'{name} in the environment must be a list in JSON, such as ["10.0.0.0/8"]')


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = dict(value) if isinstance(value, Mapping) else value


def _complaints(error: ValidationError, origins: Mapping[str, str]) -> str:
    return "\n".join(_complaint(finding, origins) for finding in error.errors(include_url=False))


def _complaint(finding: Any, origins: Mapping[str, str]) -> str:
    name = ".".join(map(str, finding["loc"]))
    source = next((origin for known, origin in origins.items() if known.startswith(name)), None)
    place = f"{source}: " if source else ""
    if finding["type"] == "extra_forbidden":
        names = [*known_settings(), *Settings.model_fields]
        return f'{place}unknown setting "{name}".{did_you_mean(name, names)}'
    return f'{place}setting "{name}": {_reason(name, finding)}'


def _reason(name: str, finding: Any) -> str:
    field = known_settings().get(name)
    if finding["type"] == "greater_than_equal" and field is not None:
        for least in (getattr(bound, "ge", None) for bound in field.metadata):
            if isinstance(least, timedelta):  # of which pydantic tells the repr
                return f"it must be at least {format_duration(least)}"
    found: str = _REASONS.get(finding["type"]) or finding["msg"].removeprefix("Value error, ")
    return found


def _server_url(url: SecretStr | None, *schemes: str) -> SecretStr | None:
    """Raises ValueError without repeating the URL, which holds a password."""
    if url is None:
        return None
    parts = split_url(url.get_secret_value())
    if parts.scheme not in schemes:
        raise ValueError(f"the URL must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    hosts = parts.netloc.rpartition("@")[2]
    if not hosts.isascii() or not all(map(_HOST_AND_PORT.fullmatch, hosts.split(","))):
        raise ValueError("the host or port cannot be read; in a password write / as %2F, ? as %3F, # as %23")
    return url


def _redis_url(url: SecretStr | None) -> SecretStr | None:
    """Raises ValueError, likewise."""
    tls_and_plain = ("redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
    url = _server_url(url, *tls_and_plain, "unix")
    parts = split_url(url.get_secret_value() if url is not None else "")
    if parts.scheme.endswith("+sentinel") and not parts.path.strip("/"):
        raise ValueError("a Sentinel's URL ends with the name of the service, such as /mymaster")
    return url


def _keys(text: SecretStr | None) -> SecretStr | None:
    """Raises ValueError without repeating any of them."""
    if text is not None:
        read_keys(text.get_secret_value())
    return text


def _secret_in(name: str, file: Path) -> str:
    try:
        secret = file.read_text("utf-8").strip()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: {file} is not text") from error
    if not secret:
        raise ValueError(f"{name}: {file} is empty")
    return secret
