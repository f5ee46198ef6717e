"""Numbered schema migrations of ``memory.db``. A migration that has shipped is never edited."""

MIGRATIONS: tuple[str, ...] = (
    # 1: traces, facts, places, edges, and the provenance of their rows
    """
    CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    INSERT INTO meta VALUES ('generation', '0');

    CREATE TABLE provenance(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        item_table TEXT NOT NULL CHECK (item_table IN ('traces', 'facts', 'places', 'edges')),
        item_id INTEGER NOT NULL,
        source TEXT NOT NULL,
        doc_id TEXT NOT NULL,
        text_span TEXT NOT NULL,
        time REAL NOT NULL,
        conf REAL NOT NULL CHECK (conf BETWEEN 0 AND 1),
        trust REAL NOT NULL CHECK (trust BETWEEN 0 AND 1)
    ) STRICT;
    CREATE INDEX provenance_item ON provenance(item_table, item_id);
    CREATE INDEX provenance_source ON provenance(source, doc_id);

    CREATE TABLE traces(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        hash TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        vector BLOB NOT NULL,
        who TEXT NOT NULL, what TEXT NOT NULL, "where" TEXT NOT NULL, "when" TEXT NOT NULL,
        state_sketch TEXT NOT NULL,
        salience_tags TEXT NOT NULL,
        span_ref TEXT NOT NULL,
        salience REAL NOT NULL,
        pinned INTEGER NOT NULL,
        strength INTEGER NOT NULL DEFAULT 1
    ) STRICT;

    CREATE TABLE facts(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        head TEXT NOT NULL, relation TEXT NOT NULL, tail TEXT NOT NULL,
        context TEXT NOT NULL,
        conf REAL NOT NULL CHECK (conf BETWEEN 0 AND 1),
        valid_from REAL NOT NULL,
        valid_to REAL,
        strength INTEGER NOT NULL DEFAULT 1
    ) STRICT;
    CREATE UNIQUE INDEX facts_current ON facts(head, relation, tail) WHERE valid_to IS NULL;

    CREATE TABLE places(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        map TEXT NOT NULL,
        x INTEGER NOT NULL, y INTEGER NOT NULL,
        context TEXT NOT NULL,
        passable INTEGER NOT NULL,
        content TEXT NOT NULL,
        label TEXT NOT NULL,
        visits INTEGER NOT NULL,
        UNIQUE (map, x, y, context)
    ) STRICT;

    CREATE TABLE edges(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        src INTEGER NOT NULL REFERENCES places(id),
        dst INTEGER NOT NULL REFERENCES places(id),
        action TEXT NOT NULL,
        cost REAL NOT NULL CHECK (cost > 0),
        tries INTEGER NOT NULL,
        successes INTEGER NOT NULL,
        UNIQUE (src, dst, action)
    ) STRICT;
    """,
)
