"""Which clusters a rule's target means."""

from datetime import UTC, datetime

import pytest

from alertagent.core.clusters.model import Cluster, ConfigType, check_target, is_cluster_id, is_targeted

CLUSTER = Cluster(
    id="prod-bj",
    name="北京",
    labels={"env": "prod", "region": "cn-north", "id": "forged", "note": 'a,b "c"'},
    parameters={},
    config_types=(ConfigType.PROMETHEUS,),
    query_url=None,
    revision=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("prod-bj", True),
        ("prod", False),
        ("PROD-BJ", False),
        ("forged", False),
        ('env="prod"', True),
        ("env=prod", True),
        ('{env="prod"}', True),
        (' { env = "prod" } ', True),
        ('env="test"', False),
        ('env!="test"', True),
        ('env="prod",region="cn-north"', True),
        ('env="prod", region="us"', False),
        ('env=~"prod|test"', True),
        ('env=~"pro"', False),
        ('region=~"cn-.*", env!~"test.*"', True),
        ('missing=""', True),
        ('missing!=""', False),
        ('id="prod-bj"', True),
        ('id="forged"', False),
        ('id=~"prod-.*"', True),
        ('name="北京"', True),
        ('note="a,b \\"c\\""', True),
        ('note=~"a,.*", env="prod"', True),
        ('id=~".*"', True),
    ],
)
def test_a_target_means_a_cluster_by_its_id_or_by_its_labels(target: str, expected: bool) -> None:
    check_target(target)

    assert is_targeted(CLUSTER, target) is expected


@pytest.mark.parametrize(
    "target", ["", " ", "{}", ",", "a b", 'env="prod', 'env="prod",', 'env=~"("', '="x"', "a/b", "-a"]
)
def test_what_is_neither_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match=r"matcher|regular expression"):
        check_target(target)


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("a", True),
        ("0", True),
        ("A.b_c-1", True),
        ("a" * 100, True),
        ("a" * 101, False),
        ("", False),
        (".a", False),
        ("_a", False),
        ("a b", False),
        ("a/b", False),
        ("a\n", False),
        ("é", False),
        ("٣", False),
    ],
)
def test_an_id_is_fit_for_addresses_and_file_names(id: str, expected: bool) -> None:
    assert is_cluster_id(id) is expected
