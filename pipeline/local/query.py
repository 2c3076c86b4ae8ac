"""Query the written objects with DuckDB, on a local copy, so that DuckDB downloads no extension."""
from __future__ import annotations

import pathlib
import tempfile

from pipeline.local.contents import Contents

SQL = """\
PIVOT read_json('events/**/*.json.gz', columns={event_name: 'VARCHAR'}, hive_partitioning=true)
ON platform USING count(*) GROUP BY year, month, day, hour ORDER BY ALL"""


def by_hour_and_platform(contents: Contents) -> tuple[list[str], list[tuple[str, ...]]]:
    """Count the events by hour and platform. Return the names of the columns, and the rows."""
    import duckdb  # only the demo needs it

    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        for path in contents.paths('events'):
            target = pathlib.Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents.stored[path])
        answer = database.execute(SQL.replace("'events/", f"'{folder}/events/"))
        return [column[0] for column in answer.description or ()], [tuple(map(str, row)) for row in answer.fetchall()]
