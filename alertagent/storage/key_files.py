"""Where keys come from: the settings, a file that somebody gave, or a file of our own that the first start makes."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import structlog

from alertagent.kernel.errors import Conflict, Fatal, Unavailable
from alertagent.storage.sealing import KEY_BYTES, Keyring, read_keys, write_key

NAME = "secrets.key"

_HEAD = """\
# The keys of the secrets in AlertAgent's database: the first one seals, the others open what is older.
# Without them no channel can be told and no analyzer asked. Keep a copy with the backups, apart from the database.
"""
_FOR_OTHERS = 0o077

log = structlog.get_logger()


class GivenKeys:
    """Keys that stand in the settings; new ones need a restart."""

    def __init__(self, text: str) -> None:
        self._keyring = read_keys(text)

    def __str__(self) -> str:
        return "the setting secrets.key"

    def load(self) -> Keyring:
        return self._keyring

    def make(self) -> Keyring:
        raise _not_ours(self)

    def renew(self) -> Keyring:
        raise _not_ours(self)


class GivenFile:
    """A file that somebody else looks after, such as a mounted Secret."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def load(self) -> Keyring | None:
        try:
            return read_keys(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Fatal(f"cannot read the keys in {self._path}: {error.strerror}") from error
        except ValueError as error:  # also what is not UTF-8
            complaint = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise Fatal(f"cannot read the keys in {self._path}: {complaint}") from error

    def make(self) -> Keyring:
        raise _not_ours(self)

    def renew(self) -> Keyring:
        raise _not_ours(self)


class OwnFile(GivenFile):
    """A file in the data directory. It appears whole or not at all, and a key once written stays in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._is_open = False

    def load(self) -> Keyring | None:
        keyring = super().load()
        with suppress(FileNotFoundError):
            was_open, self._is_open = self._is_open, bool(self._path.stat().st_mode & _FOR_OTHERS)
            if self._is_open and not was_open:
                log.warning("secrets.key_open_to_others", file=str(self._path), remedy=f"chmod 600 {self._path}")
        return keyring

    def make(self) -> Keyring:
        """The first key. Of several processes that make it, all go on with the same."""
        return self._put_first(None)

    def renew(self) -> Keyring:
        return self._put_first(self._keys_so_far())

    def _put_first(self, before: str | None) -> Keyring:
        """Write a new key before the others; where there are none, to a file that is not there yet."""
        key = write_key(secrets.token_bytes(KEY_BYTES))
        try:
            self._write(f"{_HEAD}{key}\n{before or ''}", is_first=before is None)
        except OSError as error:
            raise Unavailable(
                f"cannot write the key of secrets to {self._path}: {error.strerror}; mend that, choose "
                "another data_dir, or give a key with secrets.key_file"
            ) from error
        keyring = self.load()
        if keyring is None:
            raise Unavailable(f"{self._path} vanished while it was made")
        log.warning("secrets.key_made", file=str(self._path), key=keyring.first.id, remedy="save it with the backups")
        return keyring

    def _keys_so_far(self) -> str | None:
        try:
            lines = self._path.read_text("utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return None
        return "".join(line for line in lines if line not in _HEAD.splitlines(keepends=True))

    def _write(self, text: str, *, is_first: bool) -> None:
        if not self._path.parent.is_dir():
            # As the engines make it: root's own user for them must be able to walk through.
            self._path.parent.mkdir(parents=True)
            self._path.parent.chmod(0o711 if os.geteuid() == 0 else 0o700)
        fresh = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            self._put(fresh, is_first=is_first)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_directory(self._path.parent)

    def _put(self, fresh: Path, *, is_first: bool) -> None:
        if not is_first:
            fresh.replace(self._path)
            return
        try:
            os.link(fresh, self._path)
        except FileExistsError:  # another process was faster; its key counts
            return


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _not_ours(source: object) -> Conflict:
    return Conflict(
        f"the keys come from {source}, where the server makes none: put a new one there, before the others, and "
        f"give it to every process; make it with: openssl rand -base64 {KEY_BYTES}",
        code="keys.not_ours",
    )
