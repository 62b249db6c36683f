"""Where settings come from, which one wins, and what is said about mistakes."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, get_origin

import pytest
import yaml

from alertagent.kernel.errors import Fatal
from alertagent.settings import Settings, default_data_dir, describe, example, flattened, known_settings, load

ROOT = Path(__file__).parent.parent
CANARY = "CANARY-0123456789-abcdef"


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("ALERTAGENT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def refusal(file: Path | None = None, flags: dict[str, Any] | None = None) -> str:
    with pytest.raises(Fatal) as caught:
        load(file, flags)
    return caught.value.message


def test_without_any_source_everything_has_its_default() -> None:
    settings, origins = load()

    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.database.url is None
    assert settings.data_dir == default_data_dir()
    assert origins == {}


def test_a_flag_beats_the_environment_and_that_the_file_and_that_the_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("server: {port: 1, host: file, external_url: http://file}\nqueue: {lease: 1m}\n")
    monkeypatch.setenv("ALERTAGENT_SERVER__PORT", "2")
    monkeypatch.setenv("ALERTAGENT_SERVER__HOST", "environment")

    settings, origins = load(file, {"server": {"port": 3}})

    server = settings.server
    assert (server.port, server.host, server.external_url) == (3, "environment", "http://file")
    assert settings.queue.lease == timedelta(minutes=1)
    assert settings.queue.grace == timedelta(seconds=8)
    assert origins == {
        "server.port": "flag",
        "server.host": "environment",
        "server.external_url": str(file),
        "queue.lease": str(file),
    }


def test_lists_are_json_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTAGENT_OUTGOING__ALLOW_NETWORKS", '["10.0.0.0/8", "fd00::/8"]')

    assert load()[0].outgoing.allow_networks == ("10.0.0.0/8", "fd00::/8")


def test_a_list_that_is_not_json_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTAGENT_OUTGOING__ALLOW_NETWORKS", "10.0.0.0/8")

    message = refusal()

    assert "ALERTAGENT_OUTGOING__ALLOW_NETWORKS" in message
    assert "must be a list in JSON" in message
    assert "\n" not in message


def test_the_environment_may_be_spelled_in_lower_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("alertagent_server__port", "9")

    assert load()[0].server.port == 9


def test_the_data_directory_has_no_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTAGENT_DATA_DIR", "/from/environment")

    assert load()[0].data_dir == Path("/from/environment")


def test_the_sidecars_environment_is_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    options = (
        "ENDPOINT CLUSTER_ID CONFIG_TYPE CONFIG_PATH RELOAD_URL SYNC_INTERVAL TOKEN TOKEN_FILE CHECKER LISTEN ONCE"
    )
    for option in options.split():
        monkeypatch.setenv(f"ALERTAGENT_{option}", "x")

    assert load()[1] == {}


def test_an_empty_file_is_fine(file: Path) -> None:
    file.write_text("")

    assert load(file)[0] == load()[0]


def test_a_section_without_keys_keeps_its_defaults(file: Path) -> None:
    file.write_text("data_dir:\nserver:\nqueue:\n  # lease: 1m\n")

    assert load(file)[0] == load()[0]


@pytest.mark.parametrize("empty", ["", "~", '""'])
def test_an_empty_url_means_an_embedded_engine(file: Path, empty: str) -> None:
    file.write_text(f"database: {{url: {empty}}}\nredis: {{url: {empty}}}\nauth: {{admin_token: {empty}}}\n")

    settings, _ = load(file)

    assert (settings.database.url, settings.redis.url, settings.auth.admin_token) == (None, None, None)


def test_an_empty_variable_means_an_embedded_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTAGENT_DATABASE__URL", "")

    assert load()[0].database.url is None


@pytest.mark.parametrize("name", sorted(known_settings()))
def test_what_is_left_empty_is_as_if_it_were_not_there(name: str, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Otherwise an empty host would listen on all addresses, and an empty directory be the current one."""
    section, _, key = name.rpartition(".")
    file.write_text(f'{section}: {{{key}: ""}}' if section else f'{key}: ""')

    assert load(file)[0] == load()[0]

    if get_origin(known_settings()[name].annotation) is not tuple:
        default = load()[0]
        monkeypatch.setenv(f"ALERTAGENT_{name.upper().replace('.', '__')}", "")
        assert load()[0] == default


# Secrets in files of their own.

SECRETS = [
    ("database", "url", "postgresql://u:p@h/d"),
    ("redis", "url", "redis://:p@h/0"),
    ("auth", "admin_token", CANARY),
]


@pytest.mark.parametrize(("section", "name", "secret"), SECRETS)
def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path, section: str, name: str, secret: str) -> None:
    (tmp_path / "secret").write_text(f"  {secret}\n\n")

    settings, _ = load(flags={section: {f"{name}_file": tmp_path / "secret"}})

    assert getattr(getattr(settings, section), name).get_secret_value() == secret


@pytest.mark.parametrize(("section", "name", "secret"), SECRETS)
def test_a_secret_and_its_file_together_are_refused(tmp_path: Path, section: str, name: str, secret: str) -> None:
    (tmp_path / "secret").write_text(secret)

    message = refusal(flags={section: {name: secret, f"{name}_file": str(tmp_path / "secret")}})

    assert f'"{name}" and "{name}_file" are both set' in message
    assert secret not in message


@pytest.mark.parametrize(("section", "name", "_"), SECRETS)
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, section: str, name: str, _: str) -> None:
    missing = tmp_path / "missing"
    assert f"{name}_file: cannot read {missing}" in refusal(flags={section: {f"{name}_file": missing}})

    empty = tmp_path / "empty"
    empty.write_text(" \n")
    assert f"{empty} is empty" in refusal(flags={section: {f"{name}_file": empty}})

    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    assert f"{binary} is not text" in refusal(flags={section: {f"{name}_file": binary}})

    assert f"cannot read {tmp_path}" in refusal(flags={section: {f"{name}_file": tmp_path}})


def test_a_file_variable_works_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(CANARY)
    monkeypatch.setenv("ALERTAGENT_AUTH__ADMIN_TOKEN_FILE", str(tmp_path / "secret"))

    settings, origins = load()

    assert settings.auth.admin_token is not None
    assert settings.auth.admin_token.get_secret_value() == CANARY
    assert "auth.admin_token: **********  (environment)" in describe(settings, origins)


# Mistakes.


@pytest.mark.parametrize(
    ("text", "unknown", "meant"),
    [
        ("serve: {port: 1}", "serve", "server"),
        ("server: {prot: 1}", "server.prot", "server.port"),
        ("database: {uri: x}", "database.uri", "database.url"),
        ("outgoing: {allowed_networks: []}", "outgoing.allowed_networks", "outgoing.allow_networks"),
        ("datadir: /x", "datadir", "data_dir"),
        ("servers:", "servers", "server"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(file: Path, text: str, unknown: str, meant: str) -> None:
    file.write_text(text)

    assert refusal(file) == f'{file}: unknown setting "{unknown}". Did you mean "{meant}"?'


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("ALERTAGENT_SERVER__PROT", "ALERTAGENT_SERVER__PORT"),
        ("ALERTAGENT_SERVR__PORT", "ALERTAGENT_SERVER__PORT"),
        ("alertagent_server__prot", "ALERTAGENT_SERVER__PORT"),
        ("ALERTAGENT_DATABASE_URL", "ALERTAGENT_DATABASE__URL"),
        ("ALERTAGENT_AUTH_ADMIN_TOKEN", "ALERTAGENT_AUTH__ADMIN_TOKEN"),
    ],
)
def test_an_unknown_variable_is_named_with_the_nearest_known_one(
    monkeypatch: pytest.MonkeyPatch, variable: str, meant: str
) -> None:
    monkeypatch.setenv(variable, "1")

    assert refusal() == f'unknown setting {variable} in the environment. Did you mean "{meant}"?'


@pytest.mark.parametrize(
    ("text", "named", "reason"),
    [
        ("server: {port: eighty}", "server.port", "integer"),
        ("server: {port: 70000}", "server.port", "65535"),
        ("server: {port: -1}", "server.port", "greater than or equal to 0"),
        ("server: {external_url: alertagent.example}", "server.external_url", "https://alertagent.example.org"),
        ("server: {external_url: 'javascript:alert(1)'}", "server.external_url", "https://alertagent.example.org"),
        ("server: {external_url: 'https://'}", "server.external_url", "https://alertagent.example.org"),
        ("server: 5", "server", "it must have keys below it"),
        ("server: []", "server", "it must have keys below it"),
        ("database: {connections: 3}", "database.connections", "4"),
        ("database: {url: 5}", "database.url", "string"),
        ("database: {url: mysql://h/d}", "database.url", "postgresql://"),
        ("database: {url: just-a-host}", "database.url", "postgresql://"),
        ("redis: {url: http://h}", "redis.url", "redis://"),
        ("redis: {url: redis+proxy://h}", "redis.url", "redis+cluster://"),
        ("redis: {url: unix+sentinel://h/m}", "redis.url", "must begin with"),
        ("redis: {url: redis+sentinel://h:26379}", "redis.url", "ends with the name of the service, such as /mymaster"),
        ("redis: {url: redis+cluster://h:x}", "redis.url", "port cannot be read"),
        ("queue: {max_depth: 0}", "queue.max_depth", "100"),
        ("queue: {max_age: 600}", "queue.max_age", "30s, 5m or 1d12h"),
        ("queue: {lease: 90}", "queue.lease", "30s, 5m or 1d12h"),
        ("queue: {lease: 1.5h}", "queue.lease", "not a duration"),
        ("queue: {notification_workers: 0}", "queue.notification_workers", "1"),
        ("outgoing: {allow_networks: [10.0.0.1/8]}", "outgoing", "10.0.0.0/8"),
        ("outgoing: {allow_networks: [nonsense]}", "outgoing", "allow_networks"),
        ("outgoing: {allow_networks: 10.0.0.0/8}", "outgoing.allow_networks", "must be a list"),
        ("outgoing: {timeout: 0s}", "outgoing.timeout", "at least 1s"),
        ("alerts: {keep_ended: 1h}", "alerts.keep_ended", "at least 2d"),
        ("alerts: {resolve_timeout: 0s}", "alerts.resolve_timeout", "at least 1s"),
        ("alerts: {stale_after: 0s}", "alerts.stale_after", "at least 1s"),
        ("configs: {silent_after: 0s}", "configs.silent_after", "at least 1s"),
        ("queue: {lease: 0s}", "queue.lease", "at least 1s"),
        ("queue: {max_age: 0s}", "queue.max_age", "at least 1s"),
        ("log: {level: loud}", "log.level", "debug"),
        ("auth: {admin_token: short}", "auth.admin_token", "16"),
        ("data_dir: 5", "data_dir", "it must be a path"),
    ],
)
def test_a_bad_value_is_told_with_its_setting_and_its_source(file: Path, text: str, named: str, reason: str) -> None:
    file.write_text(text)

    message = refusal(file)

    assert message.startswith(f'{file}: setting "{named}": ')
    assert reason in message
    assert "\n" not in message


def test_every_mistake_is_told_at_once(file: Path) -> None:
    file.write_text("server: {port: x}\nlog: {level: y}\n")

    assert len(refusal(file).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"server: [", "is not YAML"),
        (b"\tserver: 1", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"server: !!python/object/apply:os.system [id]", "is not YAML"),
        (b"- a", "must hold sections"),
        (b"5", "must hold sections"),
        (b"just text", "must hold sections"),
        (b"5: 6", 'unknown setting "5"'),
        (b"server: {5: 6}", "server"),
        (b"[" * 10_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused_in_one_line(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)

    message = refusal(file)

    assert reason in message
    assert "\n" not in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert (
        refusal(tmp_path / "none.yaml")
        == f"cannot read the settings file {tmp_path}/none.yaml: No such file or directory"
    )
    assert "Is a directory" in refusal(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:pa/{CANARY}@h/d",
        f"postgresql://user:{CANARY}@h:port/d",
        f"postgresql://user:{CANARY}@[::1/d",
        f"mysql://user:{CANARY}@h/d",
        f"postgresql://user:{CANARY}@h\u2100/d",
    ],
)
def test_a_refused_database_url_is_not_repeated(url: str) -> None:
    assert CANARY not in refusal(flags={"database": {"url": url}})


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h/d",
        "postgres://h:5432/d?sslmode=require",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u@h1:5432,h2:5433/d",
        "postgresql://[::1]:5432/d",
        "postgresql://u:p%2F%40@h/d",
    ],
)
def test_the_usual_database_urls_are_taken(url: str) -> None:
    settings, _ = load(flags={"database": {"url": url}})

    assert settings.database.url is not None
    assert settings.database.url.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        "redis://h:6379/0",
        "rediss://:p@h",
        "unix:///run/redis.sock?db=1",
        "redis://[::1]:1",
        "redis+sentinel://u:p@one:26379,two,[::1]:26379/mymaster/0?sentinel_password=p",
        "rediss+sentinel://one/mymaster",
        "redis+cluster://one:6379,two",
        "rediss+cluster://:p@one?ssl_ca_certs=/ca.pem",
    ],
)
def test_the_usual_redis_urls_are_taken(url: str) -> None:
    assert load(flags={"redis": {"url": url}})[0].redis.url is not None


def test_the_address_that_commands_ask_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("http://alerts.example.com", "alerts.example.com:8080", ""):
        monkeypatch.setenv("ALERTAGENT_SERVER", address)
        assert load()[0].server.port == 8080

    monkeypatch.setenv("ALERTAGENT_SERVER", ' {"port": 9000}')
    assert load()[0].server.port == 9000


# What is shown.


def test_secrets_are_masked_wherever_settings_are_shown() -> None:
    url = f"postgresql://u:{CANARY}@h/d"
    settings, origins = load(
        flags={"database": {"url": url}, "redis": {"url": f"redis://:{CANARY}@h"}, "auth": {"admin_token": CANARY}}
    )

    shown = "\n".join([*describe(settings, origins), repr(settings), str(settings), settings.model_dump_json()])

    assert CANARY not in shown
    assert "database.url: **********  (flag)" in shown


def test_every_setting_is_described_with_its_origin(file: Path) -> None:
    file.write_text("server: {port: 1}\nqueue: {lease: 1m}")

    lines = describe(*load(file))

    assert len(lines) == len(known_settings())
    assert f"server.port: 1  ({file})" in lines
    assert f"queue.lease: 1m  ({file})" in lines
    assert "server.host: 127.0.0.1  (default)" in lines


def test_the_example_in_the_repository_is_the_current_one() -> None:
    assert (ROOT / "config.example.yaml").read_text("utf-8") == example()


def test_the_example_names_every_setting_and_is_empty_as_it_stands(file: Path) -> None:
    file.write_text(example())

    assert load(file) == (load()[0], {})
    assert {name for name, _ in flattened(yaml.safe_load(uncommented(example())))} == set(known_settings())


def test_the_example_with_its_keys_uncommented_is_the_defaults(file: Path) -> None:
    file.write_text(uncommented(example()))

    assert load(file)[0] == load()[0]


def uncommented(text: str) -> str:
    """Its keys without their `#`; the sentences stay comments."""
    return re.sub(
        r"^( *)# ([a-z_]+: .*)$", lambda m: m[0] if m[2].endswith(".") else f"{m[1]}{m[2]}", text, flags=re.MULTILINE
    )


def test_every_setting_says_what_it_is() -> None:
    for name, field in known_settings().items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().server.port = 1  # type: ignore[misc]  # mypy knows it, too
