"""Commands for a stream of sound: `listen`, `stream-eval`."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from hybridq.cli.options import Data, OutputFormat, TableOrJson, print_json, source_of, table_or_json, the_store
from hybridq.errors import UserError

SNRS = (20.0, 10.0, 0.0)

Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Probability from which on a command counts; else the recipe's.")
]
Every = Annotated[int | None, typer.Option(min=1, help="Columns from one inference to the next; else the recipe's.")]
Smoothing = Annotated[float | None, typer.Option(min=0, help="Time over which answers are averaged (ms).")]
Refractory = Annotated[float | None, typer.Option(min=0, help="Time after a command in which none counts (ms).")]


class StreamSplit(str, Enum):
    """Which clips long audio is built from."""

    validation = "validation"
    test = "test"


def listen(
    file: Annotated[Path | None, typer.Argument(help="A WAV, FLAC or OGG file; else the microphone.")] = None,
    network: Annotated[
        str, typer.Option(help="A run, a model's folder, a .hqn file, or pretrained:NAME; else the first of these.")
    ] = "",
    threshold: Threshold = None,
    every: Every = None,
    smoothing_ms: Smoothing = None,
    refractory_ms: Refractory = None,
    paced: Annotated[bool, typer.Option("--paced", help="Hear the file as fast as it was spoken.")] = False,
    device: Annotated[
        str | None, typer.Option(help="The microphone: its number, or a part of its name; else the default one.")
    ] = None,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Listen to a file or a microphone, and say which commands are heard when: live in a terminal, else in lines."""
    from rich.console import Console

    from hybridq.pretrained import PREFIX, networks
    from hybridq.runs.load_network import find_trained, is_path
    from hybridq.streaming import sources, view
    from hybridq.streaming.listening import listen as listen_to
    from hybridq.streaming.listening import prepare, spotter
    from hybridq.streaming.rule import Rule, settings_of

    table_or_json("listen", format_)
    if file and device is not None:
        raise UserError("--device is a microphone: it does not go with a file")
    name = network or next((PREFIX + one for one in networks()), "")
    if not name:
        raise UserError("--network names what is to listen: a run, a model's folder, or a .hqn file")
    trained = find_trained(name, None if is_path(name) else the_store())
    settings = settings_of(
        trained, threshold=threshold, every=every, smoothing_ms=smoothing_ms, refractory_ms=refractory_ms
    )
    mine = spotter(trained)
    if not settings.threshold:
        print("threshold 0: whatever is said counts as a command; --threshold 0.9 asks for more", file=sys.stderr)
    end = mine.front_end
    if file:
        blocks = sources.from_file(file, end, paced)
    else:
        prepare(mine)
        blocks = sources.from_microphone(end, device)
    heard, out = listen_to(blocks, mine, Rule.of(settings, end)), Console()
    try:
        if format_ is OutputFormat.table and out.is_terminal:
            view.show_live(heard, end.sample_rate, mine.labels, settings.threshold, trained.name, out)
        else:
            view.print_lines(heard, end.sample_rate, as_json=format_ is OutputFormat.json)
    except KeyboardInterrupt:  # the only way to end a microphone
        if file:
            raise


def stream_eval(
    run_or_model: Annotated[str, typer.Argument(help="A run, a model's folder, a .hqn file, or pretrained:NAME.")],
    data: Data = None,
    split: StreamSplit = StreamSplit.test,
    snr: Annotated[list[float] | None, typer.Option(help="Words over noise (dB); may be given again.")] = None,
    minutes: Annotated[float, typer.Option(min=0.2, max=600, help="Of audio at each SNR.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the words, their places and the noise.")] = 0,
    threshold: Threshold = None,
    every: Every = None,
    smoothing_ms: Smoothing = None,
    refractory_ms: Refractory = None,
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw missed commands over false alarms per hour.")
    ] = None,
    keep: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the audio there, with what is said when.")
    ] = None,
    format_: TableOrJson = OutputFormat.table,
) -> None:
    """Measure a network on long audio: false alarms per hour, missed commands, latency; logged to its run."""
    from hybridq.cli.console import console
    from hybridq.results.drawing import check_picture, save
    from hybridq.runs.load_network import find_trained, is_path
    from hybridq.streaming.evaluation import evaluate, record
    from hybridq.streaming.result import Request
    from hybridq.streaming.rule import settings_of
    from hybridq.streaming.view import evaluation_table

    table_or_json("stream-eval", format_)
    if picture:
        check_picture("--picture", picture)
    store = None if is_path(run_or_model) else the_store()
    trained = find_trained(run_or_model, store)
    settings = settings_of(
        trained, threshold=threshold, every=every, smoothing_ms=smoothing_ms, refractory_ms=refractory_ms
    )
    levels = tuple(dict.fromkeys(snr or SNRS))
    evaluation = evaluate(trained, settings, Request(source_of(data), split.value, levels, 60 * minutes, seed, keep))
    if format_ is OutputFormat.json:
        print_json(evaluation.to_json())
    else:
        console().print(evaluation_table(evaluation))
    if picture:
        from hybridq.streaming.picture import alarm_curves

        save(alarm_curves(evaluation), picture)
    if store:
        record(evaluation, store, trained.run)
        print(f"logged to {trained.name} ({trained.run[:8]})", file=sys.stderr)
