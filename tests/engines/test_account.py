import os
from pathlib import Path

import pytest

from alertagent.engines.account import CANDIDATES, Account, choose_account
from alertagent.kernel.errors import Fatal


def stranger() -> Account:
    """Somebody whom mode bits keep out: any number will do for root, while others cannot become anybody else."""
    return Account(name="stranger", uid=4_000_000, gid=4_000_000) if os.geteuid() == 0 else choose_account(())


def test_engines_never_run_as_root() -> None:
    account = choose_account(())

    assert account.uid != 0
    assert account.name in CANDIDATES if os.geteuid() == 0 else account.uid == os.geteuid()


def test_data_stays_with_the_user_it_belongs_to(data_dir: Path) -> None:
    owner = 4_000_000 if os.geteuid() == 0 else os.geteuid()
    os.chown(data_dir, owner, -1)

    assert choose_account((data_dir / "missing", data_dir)).uid == owner


async def test_programs_run_as_the_account_without_our_environment_and_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "6543")
    account = stranger()

    answer = await account.run("/bin/sh", "-c", "id -u; id -G; echo port=$PGPORT")

    uid, groups, port = answer.stdout.splitlines()
    assert uid == str(account.uid)
    assert "0" not in groups.split() or os.geteuid() != 0
    assert port == "port="


async def test_a_closed_parent_is_named_with_the_remedy(data_dir: Path) -> None:
    closed = data_dir / "closed"
    (closed / "data").mkdir(parents=True)
    closed.chmod(0o700 if os.geteuid() == 0 else 0o600)

    with pytest.raises(Fatal, match=f"cannot enter {closed}: choose another data_dir.*chmod o\\+x {closed}"):
        await stranger().require_entry(closed / "data")

    closed.chmod(0o700)


async def test_a_directory_that_is_open_all_the_way_is_accepted(data_dir: Path) -> None:
    await stranger().require_entry(data_dir)
