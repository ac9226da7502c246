//! Migrations, comments, roles.

use crate::support::{TestDatabase, begin, event, execute, step};
use archive_store::Fence;
use sqlx::AssertSqlSafe;

const APPLIED: &str = "SELECT count(*) || ' ' || bool_and(success) FROM leaderboard.migration";

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let before = database.value(APPLIED).await;
    database.store(Fence::On).migrate().await.unwrap();
    assert_eq!(database.value(APPLIED).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_may_migrate_at_once() {
    let Some(database) = TestDatabase::create().await else { return };
    let (one, other) = (database.store(Fence::On), database.store(Fence::On));
    let outcomes = tokio::join!(one.migrate(), other.migrate());
    assert!(matches!(outcomes, (Ok(()), Ok(()))), "{outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_databases_of_one_server_may_be_migrated_at_once() {
    let Some(one) = TestDatabase::create().await else { return };
    let Some(other) = TestDatabase::create().await else { return };
    let stores = (one.store(Fence::On), other.store(Fence::On));
    let outcomes = tokio::join!(stores.0.migrate(), stores.1.migrate());
    assert!(matches!(outcomes, (Ok(()), Ok(()))), "{outcomes:?}");
}

#[tokio::test]
async fn an_owner_without_further_rights_can_migrate() {
    let Some(database) = TestDatabase::create().await else { return };
    let mut connection = database.connect().await;
    let owner = &database.name;
    execute(
        &mut connection,
        &format!("CREATE ROLE {owner}; ALTER DATABASE {owner} OWNER TO {owner}; SET ROLE {owner}"),
    )
    .await;
    // What the migrations do that may need more than an owner's rights.
    for migration in [
        "CREATE SCHEMA leaderboard; CREATE TABLE leaderboard.migration (version bigint, description text, \
         installed_on timestamptz, success boolean, checksum bytea, execution_time bigint)",
        include_str!("../../migrations/0001_archive.sql"),
        include_str!("../../migrations/0002_analytics.sql"),
        include_str!("../../migrations/0003_erasure.sql"),
        "SELECT leaderboard.ensure_day('2026-11-21')",
    ] {
        execute(&mut connection, migration).await;
    }
}

#[tokio::test]
async fn everything_is_commented() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let silent = database
        .values(
            "SELECT c.oid::regclass || '.' || a.attname FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('leaderboard', 'analytics') \
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE c.relkind IN ('r', 'p', 'v', 'm') AND col_description(c.oid, a.attnum) IS NULL \
             UNION ALL \
             SELECT c.oid::regclass::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname IN ('leaderboard', 'analytics') \
             WHERE c.relkind IN ('r', 'p', 'v', 'm') AND obj_description(c.oid, 'pg_class') IS NULL \
             UNION ALL \
             SELECT nspname FROM pg_namespace \
             WHERE nspname IN ('leaderboard', 'analytics') AND obj_description(oid, 'pg_namespace') IS NULL",
        )
        .await;
    assert_eq!(silent, [""; 0]);
}

#[tokio::test]
async fn the_data_dictionary_says_what_the_comments_say() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let dictionary = include_str!("../../../../docs/data-dictionary.md");
    // The table of migrations is sqlx's, and a day's partition is as its parent.
    let relations = "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname IN ('leaderboard', 'analytics') AND c.relkind IN ('r', 'p', 'v') \
             AND NOT c.relispartition AND c.relname <> 'migration'";
    let said = database
        .values(&format!(
            "SELECT '### `' || relname || '`' || E'\\n\\n' || obj_description(oid, 'pg_class') || E'\\n' FROM ({relations}) AS r \
             UNION ALL \
             SELECT '| `' || attname || '` | ' || format_type(atttypid, atttypmod) || ' | ' || col_description(oid, attnum) || ' |' \
             FROM ({relations}) AS r JOIN pg_attribute ON attrelid = oid AND attnum > 0 AND NOT attisdropped"
        ))
        .await;
    assert!(said.len() > 60, "{said:?}");
    let missing: Vec<&String> = said.iter().filter(|said| !dictionary.contains(said.as_str())).collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn the_analyst_reads_every_view_and_no_table() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 1).await;
    store.write(&[step(0, 0, &[Ok(event("a"))])]).await.unwrap();
    let relations = |schema: &str, kind: &str| {
        format!(
            "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = '{schema}' AND c.relkind IN ({kind}) ORDER BY c.relname"
        )
    };
    let tables = database.values(&relations("leaderboard", "'r', 'p'")).await;
    let views = database.values(&relations("analytics", "'v'")).await;
    assert_eq!(
        views,
        [
            "daily_active_players",
            "final_standings",
            "game_score_redis",
            "player_history",
            "refused_records",
            "scores",
            "standings"
        ]
    );
    assert!(tables.len() >= 5, "{tables:?}");

    let mut analyst = database.connect().await;
    execute(&mut analyst, "SET ROLE rankstream_analyst").await;
    for view in views {
        execute(&mut analyst, &format!("SELECT * FROM analytics.{view}")).await;
        for change in ["DELETE FROM", "TRUNCATE"] {
            let sql = AssertSqlSafe(format!("{change} analytics.{view}"));
            assert!(sqlx::raw_sql(sql).execute(&mut analyst).await.is_err(), "{change} {view}");
        }
    }
    execute(&mut analyst, "SELECT * FROM analytics.standings_of('best', tags => '{\"a\": \"b\"}')").await;
    for table in tables {
        let sql = AssertSqlSafe(format!("SELECT * FROM {table}"));
        let error = sqlx::raw_sql(sql).execute(&mut analyst).await.unwrap_err();
        let code = error.as_database_error().unwrap().code();
        assert_eq!(code.as_deref(), Some("42501"), "{table}: {error}");
    }
}

#[tokio::test]
async fn the_plain_form_is_found_by_its_bare_name() {
    let Some(database) = TestDatabase::migrated().await else { return };
    let store = database.store(Fence::On);
    begin(&store, 2).await;
    store.write(&[step(1, 0, &[Ok(event("42")), Ok(event("7"))])]).await.unwrap();
    let rows = database
        .values("SELECT game_score_id || ' ' || user_id || ' ' || score || ' ' || created_at FROM game_score_redis ORDER BY 1")
        .await;
    assert_eq!(rows, ["1 42 1 2026-11-21 12:00:00", "4097 7 1 2026-11-21 12:00:00"]);
    let shape = database
        .values(
            "SELECT column_name || ' ' || data_type FROM information_schema.columns \
             WHERE table_name = 'game_score_redis' ORDER BY ordinal_position",
        )
        .await;
    assert_eq!(
        shape,
        ["game_score_id bigint", "user_id text", "score numeric", "created_at timestamp without time zone"]
    );
}
