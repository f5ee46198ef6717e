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
    # 2: macros, artifacts, lineage, roles and contributions of origins, full text, replay, undo, the coarse index
    """
    CREATE TABLE macros(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        signature TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        steps TEXT NOT NULL,
        strength INTEGER NOT NULL DEFAULT 1
    ) STRICT;

    CREATE TABLE artifacts(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        path TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        card TEXT NOT NULL,
        weights BLOB,
        UNIQUE (kind, sha256)
    ) STRICT;

    CREATE TABLE origins(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        item_table TEXT NOT NULL
            CHECK (item_table IN ('traces', 'facts', 'places', 'edges', 'macros', 'artifacts')),
        item_id INTEGER NOT NULL,
        role TEXT NOT NULL DEFAULT 'said' CHECK (role IN ('said', 'ended')),
        source TEXT NOT NULL,
        doc_id TEXT NOT NULL,
        text_span TEXT NOT NULL,
        time REAL NOT NULL,
        conf REAL NOT NULL CHECK (conf BETWEEN 0 AND 1),
        trust REAL NOT NULL CHECK (trust BETWEEN 0 AND 1),
        said TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    INSERT INTO origins(id, item_table, item_id, source, doc_id, text_span, time, conf, trust)
        SELECT id, item_table, item_id, source, doc_id, text_span, time, conf, trust FROM provenance;
    DROP TABLE provenance;
    ALTER TABLE origins RENAME TO provenance;
    CREATE INDEX provenance_item ON provenance(item_table, item_id);

    CREATE TABLE lineage(
        origin INTEGER NOT NULL REFERENCES provenance(id) ON DELETE CASCADE,
        parent_table TEXT NOT NULL,
        parent_id INTEGER NOT NULL,
        PRIMARY KEY (origin, parent_table, parent_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX lineage_parent ON lineage(parent_table, parent_id);

    ALTER TABLE traces ADD COLUMN time REAL NOT NULL DEFAULT 0;
    UPDATE traces SET time = coalesce(
        (SELECT max(time) FROM provenance WHERE item_table = 'traces' AND item_id = traces.id), 0);

    ALTER TABLE facts ADD COLUMN superseded_by INTEGER;
    UPDATE facts SET superseded_by = (
        SELECT min(next.id) FROM facts AS next WHERE next.head = facts.head AND next.relation = facts.relation
        AND next.tail != facts.tail AND next.valid_from = facts.valid_to
    ) WHERE valid_to IS NOT NULL AND relation IN ('lives_in', 'located_in', 'is_at', 'owned_by');
    CREATE INDEX facts_superseded ON facts(superseded_by) WHERE superseded_by IS NOT NULL;

    CREATE TABLE removed(seq INTEGER PRIMARY KEY AUTOINCREMENT, trace_id INTEGER NOT NULL) STRICT;
    CREATE TRIGGER traces_removed AFTER DELETE ON traces BEGIN INSERT INTO removed(trace_id) VALUES (old.id); END;

    CREATE VIRTUAL TABLE traces_text USING fts5(
        key, who, what, "where", "when", content = 'traces', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2', detail = 'column', columnsize = 0
    );
    INSERT INTO traces_text(traces_text) VALUES ('rebuild');
    CREATE TABLE text_state(id INTEGER PRIMARY KEY CHECK (id = 1), last_id INTEGER NOT NULL) STRICT;
    INSERT INTO text_state SELECT 1, coalesce(max(id), 0) FROM traces;
    CREATE TRIGGER traces_text_delete AFTER DELETE ON traces
        WHEN old.id <= (SELECT last_id FROM text_state) BEGIN
        INSERT INTO traces_text(traces_text, rowid, key, who, what, "where", "when")
        VALUES ('delete', old.id, old.key, old.who, old.what, old."where", old."when"); END;
    CREATE TRIGGER traces_text_update AFTER UPDATE OF key, who, what, "where", "when" ON traces
        WHEN old.id <= (SELECT last_id FROM text_state) BEGIN
        INSERT INTO traces_text(traces_text, rowid, key, who, what, "where", "when")
        VALUES ('delete', old.id, old.key, old.who, old.what, old."where", old."when");
        INSERT INTO traces_text(rowid, key, who, what, "where", "when")
        VALUES (new.id, new.key, new.who, new.what, new."where", new."when"); END;

    CREATE TABLE replay(
        trace_id INTEGER PRIMARY KEY REFERENCES traces(id) ON DELETE CASCADE,
        diversity_sig INTEGER NOT NULL,
        replays INTEGER NOT NULL DEFAULT 0,
        last_draw INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE operations(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        time REAL NOT NULL,
        detail TEXT NOT NULL,
        snapshot TEXT NOT NULL,
        undone REAL
    ) STRICT;
    CREATE TABLE touched(
        operation INTEGER NOT NULL REFERENCES operations(id) ON DELETE CASCADE,
        item_table TEXT NOT NULL,
        item_id INTEGER NOT NULL,
        after TEXT NOT NULL,
        PRIMARY KEY (operation, item_table, item_id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE coarse(
        id INTEGER PRIMARY KEY CHECK (id = 1),
        trained_on INTEGER NOT NULL,
        nprobe INTEGER NOT NULL,
        centroids BLOB NOT NULL
    ) STRICT;

    INSERT OR REPLACE INTO meta VALUES ('epoch', lower(hex(randomblob(16))));
    DELETE FROM meta WHERE key = 'generation';
    """,
    # 3: traces and provenance without AUTOINCREMENT, whose counter added a page to each write; see last_trace
    """
    CREATE TABLE last_trace(id INTEGER PRIMARY KEY CHECK (id = 1), last INTEGER NOT NULL) STRICT;
    INSERT INTO last_trace SELECT 1, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'traces'), 0);

    CREATE TABLE traces_3(
        id INTEGER PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE,
        key TEXT NOT NULL,
        vector BLOB NOT NULL,
        who TEXT NOT NULL, what TEXT NOT NULL, "where" TEXT NOT NULL, "when" TEXT NOT NULL,
        state_sketch TEXT NOT NULL,
        salience_tags TEXT NOT NULL,
        span_ref TEXT NOT NULL,
        salience REAL NOT NULL,
        pinned INTEGER NOT NULL,
        strength INTEGER NOT NULL DEFAULT 1,
        time REAL NOT NULL DEFAULT 0
    ) STRICT;
    INSERT INTO traces_3 SELECT * FROM traces;
    DROP TABLE traces;
    ALTER TABLE traces_3 RENAME TO traces;
    CREATE TRIGGER traces_removed AFTER DELETE ON traces BEGIN
        INSERT INTO removed(trace_id) VALUES (old.id);
        UPDATE last_trace SET last = old.id WHERE last < old.id; END;
    CREATE TRIGGER traces_text_delete AFTER DELETE ON traces
        WHEN old.id <= (SELECT last_id FROM text_state) BEGIN
        INSERT INTO traces_text(traces_text, rowid, key, who, what, "where", "when")
        VALUES ('delete', old.id, old.key, old.who, old.what, old."where", old."when"); END;
    CREATE TRIGGER traces_text_update AFTER UPDATE OF key, who, what, "where", "when" ON traces
        WHEN old.id <= (SELECT last_id FROM text_state) BEGIN
        INSERT INTO traces_text(traces_text, rowid, key, who, what, "where", "when")
        VALUES ('delete', old.id, old.key, old.who, old.what, old."where", old."when");
        INSERT INTO traces_text(rowid, key, who, what, "where", "when")
        VALUES (new.id, new.key, new.who, new.what, new."where", new."when"); END;

    CREATE TABLE provenance_3(
        id INTEGER PRIMARY KEY,
        item_table TEXT NOT NULL
            CHECK (item_table IN
                ('traces', 'facts', 'places', 'edges', 'macros', 'artifacts', 'aliases', 'frames')),
        item_id INTEGER NOT NULL,
        role TEXT NOT NULL DEFAULT 'said' CHECK (role IN ('said', 'ended')),
        source TEXT NOT NULL,
        doc_id TEXT NOT NULL,
        text_span TEXT NOT NULL,
        time REAL NOT NULL,
        conf REAL NOT NULL CHECK (conf BETWEEN 0 AND 1),
        trust REAL NOT NULL CHECK (trust BETWEEN 0 AND 1),
        said TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    INSERT INTO provenance_3 SELECT * FROM provenance;
    DROP TABLE provenance;
    ALTER TABLE provenance_3 RENAME TO provenance;
    CREATE INDEX provenance_item ON provenance(item_table, item_id);
    """,
    # 4: aliases, frames, mentions of names in traces, vectors of entities and relations
    """
    CREATE TABLE aliases(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        alias TEXT NOT NULL,
        entity TEXT NOT NULL,
        method TEXT NOT NULL,
        score REAL NOT NULL,
        strength INTEGER NOT NULL DEFAULT 1,
        UNIQUE (alias, entity)
    ) STRICT;

    CREATE TABLE frames(
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        slots TEXT NOT NULL,
        strength INTEGER NOT NULL DEFAULT 1
    ) STRICT;

    ALTER TABLE facts ADD COLUMN fit REAL NOT NULL DEFAULT 1;
    ALTER TABLE facts ADD COLUMN rehearsals INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX facts_head ON facts(head, relation, tail);
    CREATE INDEX facts_tail ON facts(tail);

    CREATE TABLE mentions(
        trace_id INTEGER NOT NULL REFERENCES traces(id) ON DELETE CASCADE,
        name TEXT NOT NULL,
        weight REAL NOT NULL,
        PRIMARY KEY (trace_id, name)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX mentions_name ON mentions(name, trace_id, weight);

    CREATE TABLE entity_vectors(name TEXT PRIMARY KEY, vector BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE relation_vectors(name TEXT PRIMARY KEY, vector BLOB NOT NULL) STRICT, WITHOUT ROWID;
    """,
    # 5: how a place is opened and when it was last seen; variables, conditions, effects and outcomes of macros
    """
    ALTER TABLE places ADD COLUMN via TEXT NOT NULL DEFAULT '';
    ALTER TABLE places ADD COLUMN seen REAL NOT NULL DEFAULT 0;
    CREATE INDEX edges_dst ON edges(dst);

    ALTER TABLE macros ADD COLUMN variables TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE macros ADD COLUMN triggers TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE macros ADD COLUMN preconditions TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE macros ADD COLUMN effects TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE macros ADD COLUMN status TEXT NOT NULL DEFAULT 'candidate';
    ALTER TABLE macros ADD COLUMN outcomes TEXT NOT NULL DEFAULT '[]';
    """,
    # 6: terms of words that the full-text index can't tell (see memory/scripts.py); the embedder's width and probe
    """
    DROP TRIGGER traces_text_delete;
    DROP TRIGGER traces_text_update;
    DROP TABLE traces_text;
    ALTER TABLE traces ADD COLUMN terms TEXT NOT NULL DEFAULT '';
    UPDATE traces SET terms = marked(key, who, what, "where", "when");
    CREATE VIRTUAL TABLE traces_text USING fts5(
        key, who, what, "where", "when", terms, content = 'traces', content_rowid = 'id',
        tokenize = 'porter unicode61 remove_diacritics 2', detail = 'column', columnsize = 0
    );
    INSERT INTO traces_text(traces_text) VALUES ('rebuild');
    UPDATE text_state SET last_id = coalesce((SELECT max(id) FROM traces), 0);
    CREATE TRIGGER traces_text_delete AFTER DELETE ON traces
        WHEN old.id <= (SELECT last_id FROM text_state) BEGIN
        INSERT INTO traces_text(traces_text, rowid, key, who, what, "where", "when", terms)
        VALUES ('delete', old.id, old.key, old.who, old.what, old."where", old."when", old.terms); END;
    CREATE TRIGGER traces_text_update AFTER UPDATE OF key, who, what, "where", "when" ON traces BEGIN
        INSERT INTO traces_text(traces_text, rowid, key, who, what, "where", "when", terms)
        SELECT 'delete', old.id, old.key, old.who, old.what, old."where", old."when", old.terms
        WHERE old.id <= (SELECT last_id FROM text_state);
        INSERT INTO traces_text(rowid, key, who, what, "where", "when", terms)
        SELECT new.id, new.key, new.who, new.what, new."where", new."when",
            marked(new.key, new.who, new.what, new."where", new."when")
        WHERE old.id <= (SELECT last_id FROM text_state);
        UPDATE traces SET terms = marked(new.key, new.who, new.what, new."where", new."when") WHERE id = new.id; END;
    """,
)
