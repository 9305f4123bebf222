"""Commands about data sets: `data download`, `data info`, `data check`."""

from __future__ import annotations

from typing import Annotated

import typer

from hybridq.cli.options import Data, source_of
from hybridq.errors import RUN_FAILED, UserError

app = typer.Typer(no_args_is_help=True, help="Download, describe or check a data set.")


@app.command()
def download(version: Annotated[str | None, typer.Argument(help="v0.01 or v0.02")] = None, data: Data = None) -> None:
    """Download and unpack a Speech Commands archive (v0.01 or v0.02); a broken download is continued."""
    from hybridq.speech.audio import ARCHIVES, open_source

    chosen = version or data or ""
    if chosen not in ARCHIVES:
        raise UserError(f"'{chosen}' is not one of {', '.join(ARCHIVES)}")
    print(open_source(chosen).root)


@app.command()
def info(data: Data = "synthetic") -> None:
    """Print how many clips of each word are in each split."""
    from hybridq.cli.tables import data_table
    from hybridq.speech.audio import open_source

    data_table(open_source(source_of(data) or "synthetic"))


@app.command("check")
def check_(data: Data = "synthetic") -> None:
    """Read every clip and print what is wrong with the data set."""
    from hybridq.speech.audio import check, open_source

    audio = open_source(source_of(data) or "synthetic", checking=True)
    findings = check(audio)
    for finding in findings:
        print(finding)
    faults = sum(finding.severity == "fault" for finding in findings)
    print(f"{audio.name}: {len(audio.clips)} clips, {faults} faults, {len(findings) - faults} notes")
    if faults:
        raise typer.Exit(RUN_FAILED)
