"""What the package offers, and that looking at the offer costs nothing."""

import subprocess
import sys

import pytest
from bdk.registry import config_class

NAMES = ["clip-retrieval", "exact", "faiss", "frozen", "laion2b", "laion400m"]


def test_every_retriever_is_on_offer_in_a_file_of_its_own(registry):
    offered = {name: registry.component("retriever", name) for name in NAMES}
    assert all(info.target.split(":")[0].endswith("." + name.replace("-", "_")) for name, info in offered.items())
    assert all(key in registry.citations for info in offered.values() for key in info.cite)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(registry, name):
    fields = config_class(registry.component("retriever", name)).model_fields
    assert all(field.description and len(field.description) > 20 for field in fields.values())
    assert {"k", "query", "pool", "cache_gb"} <= set(fields)


def test_the_offer_and_the_options_import_nothing_heavy():
    heavy = ("torch", "faiss", "open_clip", "timm", "diffusers", "httpcore", "pyarrow")
    code = (
        "import sys, bdk_retrievers, bdk_retrievers.configs as c; c.Laion2bConfig().sources();"
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_quick_shrinks_the_stand_ins(registry):
    for name, quick in (("laion2b", 2000), ("laion400m", 500)):
        field = config_class(registry.component("retriever", name)).model_fields["n"]
        assert field.json_schema_extra == {"quick": quick}
