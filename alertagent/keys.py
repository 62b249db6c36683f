"""The keys of the settings, the columns that they seal, and what to do when a key is lost."""

from collections.abc import Sequence

from alertagent.core.alertmanager import kept as alertmanager
from alertagent.core.analysis import analyzers
from alertagent.core.audit.model import SYSTEM
from alertagent.core.audit.service import Audit
from alertagent.core.configs import service as configs
from alertagent.core.keys.service import use
from alertagent.core.notify import channels
from alertagent.kernel.errors import Fatal
from alertagent.process import connected, engines
from alertagent.settings import Settings
from alertagent.storage.database import Database
from alertagent.storage.key_files import NAME, GivenFile, GivenKeys, OwnFile
from alertagent.storage.queries import load_queries
from alertagent.storage.resealing import Resealing
from alertagent.storage.sealing import Column
from alertagent.storage.seals import Seals, Source, claimed

SEALED: Sequence[Column] = (channels.CONFIG, analyzers.CONFIG, *alertmanager.SEALED, configs.BODY)

sql = load_queries("alertagent.storage")


def source_of(settings: Settings) -> Source:
    """Where the keys of this process come from."""
    if settings.secrets.key_file is not None:
        return GivenFile(settings.secrets.key_file)
    if settings.secrets.key is not None:
        return GivenKeys(settings.secrets.key.get_secret_value())
    return OwnFile(settings.data_dir / NAME)


async def seals_of(settings: Settings, database: Database) -> Seals:
    """What opens the secrets of this database. Raises Fatal where the keys of the settings cannot."""
    return await claimed(database, source_of(settings), SEALED)


async def reset(settings: Settings) -> list[str]:
    """Begin anew with a key of the settings, because the one before is lost; what has to be set again, a line each.

    Raises Fatal where nothing is lost.
    """
    async with engines(settings) as urls, await connected(urls.database, settings.database.connections) as database:
        source = source_of(settings)
        keyring = source.load() or source.make()
        known = await database.fetch(sql.sealing_keys)
        if not known or known[0]["id"] in keyring.keys:
            raise Fatal(f"nothing is lost: the key of this database is in {source}")
        async with database.transaction() as transaction:
            await transaction.execute(sql.lock_sealing_keys)
            await use(transaction, keyring.first)
            await transaction.execute(sql.forget_sealing_keys, keyring.first.id)
            lost = await Resealing(database, Seals(keyring, source), SEALED).give_up(transaction)
            before, after = {"key": known[0]["id"]}, {"key": keyring.first.id}
            await Audit().record(
                transaction, SYSTEM, "keys.reset", ("key", keyring.first.id), before=before, after=after
            )
        return [f"secrets are sealed under key {keyring.first.id} from here on", *(f"lost: {place}" for place in lost)]
