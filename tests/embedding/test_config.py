"""`mflow-config` gives no folder in which there is nothing to be used."""

import pytest
from mflow_core import config


@pytest.mark.parametrize("there", [True, False])
def test_folder_for_pkg_config_is_given_where_its_file_is(there, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(config, "folder", lambda name: str(tmp_path))
    if there:
        (tmp_path / "mflow.pc").write_text("Name: mflow\n")
    code = config.main(["--version", "--pkgconfigdir"])
    out, err = capsys.readouterr()
    assert out.splitlines() == [config.VERSION, *([str(tmp_path)] if there else [])]
    assert (code, "there is no mflow.pc in" in err) == ((0, False) if there else (1, True))


def test_nothing_asked_for_is_an_error_with_words(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        config.main([])
    assert ended.value.code == 2
    assert "expected one of --version, --cflags" in capsys.readouterr().err
