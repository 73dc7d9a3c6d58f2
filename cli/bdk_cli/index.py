"""``bdk index``: build, plan, look into, verify, query, audit and import galleries. Importing it imports no torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bdk_cli.index_options import embedded, known_kind, modalities, model_facts, on_cluster
from bdk_cli.index_tables import parse_bytes, plan_rows, print_facts, print_table, progress

index = typer.Typer(help="Galleries to retrieve from, and their indexes.", no_args_is_help=True)

GalleryArgument = Annotated[
    str, typer.Argument(help="A gallery's folder, or its name in galleries.toml.", show_default=False)
]
Out = Annotated[Path, typer.Option("--out", help="Gallery folder to write.", show_default=False)]
Name = Annotated[str, typer.Option("--name", help="What the gallery is called.", show_default=False)]
KeyModel = Annotated[
    str,
    typer.Option(
        "--key-model", help="Pooled space of the embeddings, such as clip-vit-l14/pooled; inferred if only one fits."
    ),
]
Licence = Annotated[str, typer.Option("--licence", help="Licence of the collection.")]
Language = Annotated[list[str] | None, typer.Option("--language", help="Language of the captions; may be repeated.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(index, name="index")


@index.command()
def build(
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of embeddings (img_emb/, text_emb/, metadata/), or of pictures with --embed.",
            show_default=False,
        ),
    ],
    out: Out,
    name: Name,
    key_model: KeyModel = "",
    memory: Annotated[str, typer.Option("--memory", help="What building and searching may take, such as 4GB.")] = "4GB",
    kind: Annotated[str, typer.Option("--type", help="auto, flat, ivf-flat, ivf-sq8 or opq-ivf-pq.")] = "auto",
    on_disk: Annotated[
        bool | None, typer.Option("--on-disk/--in-memory", help="Where inverted lists stay; default: by memory.")
    ] = None,
    copy: Annotated[
        bool,
        typer.Option("--copy", help="Copy embeddings and metadata into the gallery instead of using them in place."),
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option("--index", help="Which embeddings to index: image, text; may be repeated.")
    ] = None,
    embed: Annotated[
        bool, typer.Option("--embed", help="The source holds pictures and captions: embed them first.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="Where --embed computes.")] = "cpu",
    seed: Annotated[int, typer.Option("--seed", help="Seed of the training sample.")] = 0,
    lists: Annotated[int, typer.Option("--lists", help="Inverted lists; 0 chooses by size.")] = 0,
    index_only: Annotated[
        bool, typer.Option("--index-only", help="Do without the embeddings afterwards; scores are then approximate.")
    ] = False,
    licence: Licence = "",
    language: Language = None,
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster", help="Run shards on dask: local:N, a scheduler's address, or a table of clusters.toml."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Build a gallery and its index, shard by shard; run the same command again to go on after an interruption."""
    from bdk.galleries.building import BuildOptions, build_gallery, in_turn

    tell = progress(quiet=as_json)
    lost: dict[str, int] = {}
    if embed:
        source, key_model, lost = embedded(source, out, key_model, device, tell)
    key_model, facts = model_facts(source, key_model)
    facts |= {"licence": licence, "languages": tuple(language or ())}
    options = BuildOptions(
        name,
        key_model,
        parse_bytes(memory),
        None if kind == "auto" else known_kind(kind),
        on_disk,
        copy,
        modalities(only),
        seed,
        lists,
        index_only,
        facts,
    )
    if cluster:
        manifest = on_cluster(cluster, lambda map: build_gallery(source, out, options, map, tell))
    else:
        manifest = build_gallery(source, out, options, in_turn, tell)
    print_facts(_facts(manifest, out) | ({"pictures_left_out": lost} if lost else {}), as_json)


@index.command()
def plan(
    n: Annotated[float, typer.Argument(help="Rows; 2.3e9 is fine.", show_default=False)],
    dim: Annotated[int, typer.Argument(help="Numbers of a row, such as 768.", show_default=False)],
    memory: Annotated[str, typer.Option("--memory", help="What a search may take, such as 64GB.")] = "16GB",
    gflops: Annotated[
        float, typer.Option("--gflops", help="Billion single-precision operations a second of the builder.")
    ] = 100.0,
    as_json: AsJson = False,
) -> None:
    """Size, memory and build time of each index type, before any work."""
    from bdk.galleries.index_plans import choose_index

    choice = choose_index(int(n), dim, parse_bytes(memory))
    rows = plan_rows(int(n), dim, parse_bytes(memory), gflops)
    chosen = {"type": choice.plan.kind, "factory": choice.plan.factory, "on_disk": choice.on_disk, "why": choice.why}
    if as_json:
        typer.echo(json.dumps({"types": rows, "chosen": chosen}, indent=1))
        return
    print_table(rows)
    typer.echo(f"chosen: {chosen['type']}{' with its lists on disk' if choice.on_disk else ''}: {choice.why}")


@index.command()
def info(gallery: GalleryArgument, as_json: AsJson = False) -> None:
    """What a gallery says of itself."""
    from bdk.galleries.manifest import read_manifest

    root = _folder(gallery)
    print_facts(_facts(read_manifest(root), root), as_json)


@index.command()
def verify(gallery: GalleryArgument, as_json: AsJson = False) -> None:
    """Hash every file and compare with the manifest; names every damaged one and exits with 1."""
    from bdk.galleries.checking import damaged, write_seal
    from bdk.galleries.manifest import read_manifest

    root = _folder(gallery)
    manifest = read_manifest(root)
    found = damaged(root, manifest, lambda path: None if as_json else typer.echo(f"reading {path}", err=True))
    if not found:
        write_seal(root, manifest.files())
    unhashed = [entry.path for entry in manifest.files() if not entry.sha256]
    if as_json:
        typer.echo(json.dumps({"files": len(manifest.files()), "damaged": dict(found), "without_checksum": unhashed}))
    else:
        for path, what in found:
            typer.echo(f"{path}: {what}")
        typer.echo(f"{len(manifest.files())} files, {len(found)} damaged, {len(unhashed)} without a checksum")
    raise typer.Exit(1 if found else 0)


@index.command()
def query(
    gallery: GalleryArgument,
    text: Annotated[str, typer.Option("--text", help="Search for a caption.")] = "",
    picture: Annotated[Path | None, typer.Option("--picture", help="Search for a picture file.")] = None,
    row: Annotated[int, typer.Option("--row", help="Search for a row of the gallery itself.")] = -1,
    keys: Annotated[Path | None, typer.Option("--keys", help="Search for the rows of a .npy file.")] = None,
    k: Annotated[int, typer.Option("--k", "-k", help="Neighbours.")] = 8,
    retriever: Annotated[str, typer.Option("--retriever", help="Which retriever searches.")] = "exact",
    search_in: Annotated[
        str, typer.Option("--in", help="Search among the gallery's images or its captions: image or text.")
    ] = "image",
    as_json: AsJson = False,
) -> None:
    """Search a gallery and show what was found."""
    from bdk.galleries.asking import ask

    rows = ask(_folder(gallery), retriever, search_in, k, text=text, picture=picture, row=row, keys=keys)
    if as_json:
        typer.echo(json.dumps(rows, indent=1, default=str, ensure_ascii=False))
        return
    print_table(rows)


@index.command()
def audit(
    gallery: GalleryArgument,
    data: Annotated[
        str, typer.Option("--data", help="Data set whose test stimuli must not be in the gallery.")
    ] = "demo",
    option: Annotated[
        list[str] | None, typer.Option("--data-option", help="Option of the data set, as key=value; may be repeated.")
    ] = None,
    k: Annotated[int, typer.Option("--k", "-k", help="Nearest items looked at for each test stimulus.")] = 16,
    min_cosine: Annotated[float, typer.Option("--min-cosine", help="Embeddings at least this alike count.")] = 0.98,
    max_bits: Annotated[
        int, typer.Option("--max-bits", help="Perceptual hashes (256 bits) that differ in no more count.")
    ] = 32,
    leave_out: Annotated[
        Path | None, typer.Option("--leave-out", help="File to write the found ids to, for retriever.leave_out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look for test stimuli in a gallery, by picture and by embedding. Exits with 1 if any is found."""
    from bdk.galleries.auditing import audit_gallery, write_leave_out

    options = dict(pair.split("=", 1) for pair in option or () if "=" in pair)
    found = audit_gallery(_folder(gallery), data, options, k=k, min_cosine=min_cosine, max_bits=max_bits)
    if leave_out is not None:
        write_leave_out(leave_out, found)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=1))
    else:
        print_table([vars(match) for match in found.matches])
        typer.echo(found.summary())
    raise typer.Exit(1 if found.matches else 0)


@index.command()
def tokens(
    gallery: GalleryArgument,
    space: Annotated[
        list[str],
        typer.Option("--space", help="Space to encode every row in; one of images and one of captions may be given."),
    ],
    as_json: AsJson = False,
) -> None:
    """Encode every row once and store its tokens in the gallery, so that a neighbour is read instead of encoded."""
    from bdk.galleries.stored_tokens import store_tokens
    from bdk.registry import load

    root, registry = _folder(gallery), load()
    for chosen in [registry.space(id, where="--space") for id in space]:
        manifest = store_tokens(root, chosen, tell=progress(quiet=as_json))
    print_facts(_facts(manifest, root), as_json)


@index.command("import")
def import_(
    folder: Annotated[
        Path,
        typer.Argument(help="A folder that clip-retrieval serves from (image.index, metadata/).", show_default=False),
    ],
    out: Out,
    name: Name,
    key_model: Annotated[
        str,
        typer.Option(
            "--key-model", help="Pooled space of the index; nothing in the folder says it.", show_default=False
        ),
    ],
    embeddings: Annotated[
        Path | None, typer.Option("--embeddings", help="The embeddings it was built from, for exact ranking.")
    ] = None,
    hash: Annotated[
        bool | None, typer.Option("--hash/--no-hash", help="Hash files; default: those up to 1 GB.")
    ] = None,
    licence: Licence = "",
    language: Language = None,
    as_json: AsJson = False,
) -> None:
    """Adopt an existing index folder where it lies: probe it, and write a manifest for it."""
    from bdk.galleries.importing import import_folder

    facts = {"licence": licence, "languages": tuple(language or ())}
    out.mkdir(parents=True, exist_ok=True)
    manifest = import_folder(folder, out, name, key_model, embeddings, hash, facts)
    print_facts(_facts(manifest, out), as_json)


def _folder(gallery: str) -> Path:
    from bdk.galleries.resolving import find_gallery

    return find_gallery(gallery, gallery if Path(gallery).expanduser().exists() else None)


def _facts(manifest: Any, root: Path) -> dict[str, Any]:
    plain = manifest.model_dump(
        mode="json", exclude={"embeddings", "metadata", "tokens", "indexes", "format", "metric"}
    )
    sizes = {"embeddings": manifest.embeddings, "metadata": {"": manifest.metadata}}
    plain |= {f"{part}_bytes": sum(f.bytes for files in table.values() for f in files) for part, table in sizes.items()}
    plain["tokens"] = {
        guide: {"space": e.space, "network": e.network, "bytes": sum(f.bytes for f in e.shards)}
        for guide, e in manifest.tokens.items()
    }
    plain["indexes"] = {
        modality: {
            "type": e.kind,
            "bytes": sum(f.bytes for f in e.files),
            "on_disk": e.on_disk,
            "nlist": e.nlist,
            "nprobe": e.nprobe,
            "why": e.why,
        }
        for modality, e in manifest.indexes.items()
    }
    return {"folder": str(root), **plain, "fingerprint": manifest.fingerprint()}
