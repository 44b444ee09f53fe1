"""The guide's provisioner is run as it is printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

from app.accounts import api_keys
from app.core.clock import transport_now
from app.core.policy import declared
from app.workspaces.models import TaskKind
from tests.workspaces.conftest import Make
from tests.world import World

_DOCS = Path(__file__).resolve().parents[2] / "docs"


def _code() -> str:
    found = re.search(
        r"```python\n(.*?)```", (_DOCS / "guides" / "write-a-provisioner.md").read_text("utf-8"), re.DOTALL
    )
    assert found is not None
    return found[1]


def test_the_provisioner_of_the_guide_makes_a_workspace(world: World, make: Make, tmp_path: Path) -> None:
    workspace_id = make.workspace()
    with world.db.transaction() as tx:
        _, key = api_keys.create(
            tx, world.ports.secrets, name="guide", scopes=["provisioning:work"], account_id=None, actor="test",
            now=transport_now(),
        )  # fmt: skip
    (tmp_path / "provisioner.py").write_text(_code(), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import provisioner; provisioner.work_off()"],
        env={**os.environ, "BLP_URL": world.url, "BLP_PROVISIONER_KEY": key, "no_proxy": "*"},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    workspace = make.read(workspace_id)
    assert (workspace.state, workspace.url) == ("stable", "https://acme.cloud.example.com")


def test_the_guide_names_every_kind_of_task_and_the_procedure_every_policy() -> None:
    guide = (_DOCS / "guides" / "write-a-provisioner.md").read_text("utf-8")
    assert all(f"| `{kind}` |" in guide for kind in TaskKind)
    procedure = (_DOCS / "procedures" / "provisioning.md").read_text("utf-8")
    ours = {name: policy for name, policy in declared().items() if name.startswith(("provisioning.", "workspaces."))}
    for name, policy in ours.items():
        default = ", ".join(policy.default) if isinstance(policy.default, list) else str(policy.default)
        assert f"| `{name}` | {default} |" in procedure
