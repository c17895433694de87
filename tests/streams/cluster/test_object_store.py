"""Sources and table in an object store: a real S3 endpoint over HTTP, on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from lnlattennet.errors import UsageError
from lnlattennet.streams.cluster._place import Place
from tests.streams.cluster.scoring import jpeg, rows_in, score_here, write_parquet, write_tar


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Options of a URL that name the endpoint; it has the bucket `study`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        options = f"?endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        Place.of(f"s3://study{options}&allow_bucket_creation=true").filesystem.create_dir("study")
        yield options
    finally:
        server.stop()


def test_images_and_table_in_a_bucket(bucket: str, bundle_path: Path, tmp_path: Path) -> None:
    faces = {f"{seed}.jpg": jpeg(seed) for seed in range(5)}
    for name, data in faces.items():
        (tmp_path / name).write_bytes(data)
    write_tar(tmp_path / "a.tar", faces)
    write_parquet(tmp_path / "b.parquet", ["0.jpg", "s3://study/faces/1.jpg", "s3://study/faces/gone.jpg"])
    place = Place.of(f"s3://study/faces{bucket}")
    for path in tmp_path.iterdir():
        with place.filesystem.open_output_stream((place / path.name).inner) as stream:
            stream.write(path.read_bytes())

    _, here = score_here(bundle_path, [str(tmp_path)], str(tmp_path.parent / "s3-out"), images=3)
    _, rows = score_here(bundle_path, [f"s3://study/faces{bucket}"], f"s3://study/out{bucket}", images=3)
    assert [row["source"] for row in rows] == [
        *(f"s3://study/faces/{seed}.jpg" for seed in range(5)),
        *(f"s3://study/faces/a.tar/{seed}.jpg" for seed in range(5)),
        *(f"s3://study/faces/{name}.jpg" for name in ("0", "1", "gone")),
    ]
    assert [row["label"] for row in rows[:10]] == [row["label"] for row in here[:10]]
    assert [row["status"] == "unreadable" for row in rows] == [False] * 12 + [True]
    assert rows_in(Place.of(f"s3://study/out{bucket}")) == rows
    with pytest.raises(UsageError, match="go on with it by --resume"):
        score_here(bundle_path, [f"s3://study/faces{bucket}"], f"s3://study/out{bucket}", images=3)
