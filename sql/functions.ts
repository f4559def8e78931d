import type pg from 'pg';

// In Postgres, every role may execute nearly all functions of pg_catalog. With some of these functions, even a role that may only read can
// write, take advisory locks, or use up disk space or connections. So these functions are revoked from PUBLIC in every database of
// clickledger, and granted to the owner of the database.
//
// A volatile function that is in no list is also revoked, e.g. a function that a newer Postgres adds. A test fails until the function is in
// a list.

const words = (text: string): string[] => text.trim().split(/\s+/);

/** The volatile functions of pg_catalog that every role may still execute, by the reason why they are not revoked. */
export const KEPT_FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  'reads the clock, or is random': words(`
    clock_timestamp timeofday random random_normal setseed gen_random_uuid uuidv4 uuidv7 array_sample array_shuffle
  `),
  'changes settings of its own session, as the statement SET does, which no right governs': words('set_config'),
  'runs a query with the rights of its caller': words(`
    query_to_xml query_to_xml_and_xmlschema query_to_xmlschema cursor_to_xml cursor_to_xmlschema ts_rewrite ts_stat currtid2
  `),
  'reads the size or the place of relations': words(`
    pg_database_size pg_tablespace_size pg_relation_size pg_table_size pg_indexes_size pg_total_relation_size pg_partition_ancestors
    pg_partition_tree amvalidate
  `),
  'reads a sequence, if its caller may': words('currval lastval pg_sequence_last_value pg_get_sequence_data'),
  'reads the state of the session': words('current_query pg_jit_available pg_get_loaded_modules pg_notification_queue_usage'),
  'reads locks and who waits for whom': words(`
    pg_lock_status pg_blocking_pids pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked pg_prepared_xact
    pg_get_multixact_members pg_get_wait_events
  `),
  'reads how a transaction ended': words(`
    pg_xact_status txid_status pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_last_committed_xact
  `),
  'reads the state of the server': words(`
    pg_control_checkpoint pg_control_init pg_control_recovery pg_control_system pg_collation_actual_version
    pg_database_collation_actual_version pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_get_wal_resource_managers
    pg_is_in_recovery pg_is_wal_replay_paused pg_get_wal_replay_pause_state pg_last_wal_receive_lsn pg_last_wal_replay_lsn
    pg_last_xact_replay_timestamp pg_get_wal_summarizer_state pg_available_wal_summaries pg_wal_summary_contents
  `),
  'reads statistics': words(`
    pg_stat_clear_snapshot pg_stat_get_backend_io pg_stat_get_backend_wal pg_stat_get_io pg_stat_get_recovery_prefetch
    pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time
    pg_stat_get_xact_function_total_time pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched
    pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_newpage_updated
    pg_stat_get_xact_tuples_returned pg_stat_get_xact_tuples_updated
  `),
  'cannot be called by a query, or checks a function and changes nothing': words(`
    dsnowball_init dsnowball_lexize plpgsql_inline_handler plpgsql_validator
  `),
};

/**
 * The functions of pg_catalog that are revoked, by reason. Most of them are volatile. Postgres allows only superusers to execute some of
 * them, even without the revocation.
 */
export const REVOKED_FUNCTIONS: Readonly<Record<string, readonly string[]>> = {
  'writes large objects, or reads those of others': words(`
    lo_creat lo_create lo_from_bytea lo_put lo_get lo_open lo_close loread lowrite lo_lseek lo_lseek64 lo_tell lo_tell64 lo_truncate
    lo_truncate64 lo_unlink lo_import lo_export
  `),
  'takes or releases advisory locks': words(`
    pg_advisory_lock pg_advisory_lock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock
    pg_try_advisory_lock_shared pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared pg_advisory_unlock pg_advisory_unlock_shared
    pg_advisory_unlock_all
  `),
  'uses up transaction ids': words('txid_current pg_current_xact_id'),
  'changes a sequence': words('nextval setval'),
  'fills the queue of notifications': words('pg_notify'),
  'occupies a connection and does nothing': words('pg_sleep pg_sleep_for pg_sleep_until'),
  'keeps a snapshot for others, which delays VACUUM': words('pg_export_snapshot'),
  'cancels or ends the queries of others with the same role': words('pg_cancel_backend pg_terminate_backend'),
  'writes to the log of transactions, or controls it': words(`
    pg_logical_emit_message pg_create_restore_point pg_switch_wal pg_log_standby_snapshot pg_backup_start pg_backup_stop pg_promote
    pg_wal_replay_pause pg_wal_replay_resume
  `),
  'creates, moves or reads replication slots and origins': words(`
    pg_create_logical_replication_slot pg_create_physical_replication_slot pg_copy_logical_replication_slot
    pg_copy_physical_replication_slot pg_drop_replication_slot pg_replication_slot_advance pg_sync_replication_slots
    pg_logical_slot_get_changes pg_logical_slot_get_binary_changes pg_logical_slot_peek_changes pg_logical_slot_peek_binary_changes
    pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_advance pg_replication_origin_progress
    pg_replication_origin_session_is_setup pg_replication_origin_session_progress pg_replication_origin_session_reset
    pg_replication_origin_session_setup pg_replication_origin_xact_reset pg_replication_origin_xact_setup pg_show_replication_origin_status
  `),
  'writes to an index': words('brin_summarize_new_values brin_summarize_range brin_desummarize_range gin_clean_pending_list'),
  'changes statistics': words(`
    pg_stat_reset pg_stat_reset_single_table_counters pg_stat_reset_single_function_counters pg_stat_reset_backend_stats
    pg_stat_reset_replication_slot pg_stat_reset_subscription_stats pg_stat_reset_shared pg_stat_reset_slru pg_stat_have_stats
    pg_stat_force_next_flush pg_restore_relation_stats pg_restore_attribute_stats pg_clear_relation_stats pg_clear_attribute_stats
  `),
  'changes the server or its catalogs': words(`
    pg_reload_conf pg_rotate_logfile pg_rotate_logfile_old pg_log_backend_memory_contexts pg_import_system_collations
    pg_extension_config_dump pg_nextoid pg_stop_making_pinned_objects
  `),
  'is for pg_upgrade': words(`
    binary_upgrade_add_sub_rel_state binary_upgrade_create_empty_extension binary_upgrade_logical_slot_has_caught_up
    binary_upgrade_replorigin_advance binary_upgrade_set_missing_value binary_upgrade_set_next_array_pg_type_oid
    binary_upgrade_set_next_heap_pg_class_oid binary_upgrade_set_next_heap_relfilenode binary_upgrade_set_next_index_pg_class_oid
    binary_upgrade_set_next_index_relfilenode binary_upgrade_set_next_multirange_array_pg_type_oid
    binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid binary_upgrade_set_next_pg_enum_oid
    binary_upgrade_set_next_pg_tablespace_oid binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid
    binary_upgrade_set_next_toast_relfilenode binary_upgrade_set_record_init_privs
  `),
  'reads files or the memory of the server': words(`
    pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir pg_ls_waldir pg_ls_archive_statusdir
    pg_ls_summariesdir pg_ls_tmpdir pg_ls_logicalsnapdir pg_ls_logicalmapdir pg_ls_replslotdir pg_current_logfile pg_hba_file_rules
    pg_ident_file_mappings pg_show_all_file_settings pg_get_shmem_allocations pg_get_shmem_allocations_numa pg_get_backend_memory_contexts
    pg_get_aios
  `),
};

/**
 * The revoked functions that authors need in the catalog. An import of recipients takes a lock, and changed rows get the id of their
 * transaction.
 */
export const AUTHOR_FUNCTIONS = 'pg_advisory_xact_lock(bigint), pg_current_xact_id()';

const literals = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ');

/** The revoked functions that are stable, not volatile, in Postgres. */
const REVOKED_STABLE = REVOKED_FUNCTIONS['uses up transaction ids'] ?? [];

/**
 * A condition on pg_proc: PUBLIC must not execute the function. Handlers and trigger functions are excluded, because a query cannot call
 * them.
 */
const IS_LIMITED = `pronamespace = 'pg_catalog'::regnamespace
      AND (proname IN (${literals(REVOKED_STABLE)})
        OR provolatile = 'v' AND prorettype::regtype::text NOT IN ('trigger', 'event_trigger', 'language_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler')
        AND proname NOT IN (${literals(Object.values(KEPT_FUNCTIONS).flat())}))`;

/** A condition on pg_proc: PUBLIC may execute the function and must not. */
const REVOCABLE = `has_function_privilege('public', oid, 'EXECUTE') AND ${IS_LIMITED}`;

/**
 * Returns the SQL that revokes the functions, and the language of DO blocks, from PUBLIC in the database in which it is run. It grants them
 * to `owner`, an SQL identifier. In the catalog, it also grants AUTHOR_FUNCTIONS to authors. Only a superuser can run it. It may be run
 * again at any time.
 */
export function revocationSql(owner: string, isCatalog: boolean): string {
  return `DO $revoke$
DECLARE
  functions text := (SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc
    WHERE ${REVOCABLE});
BEGIN
  IF functions IS NOT NULL THEN
    EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || functions || ' FROM PUBLIC';
    EXECUTE 'GRANT EXECUTE ON FUNCTION ' || functions || ' TO ${owner.replaceAll("'", "''")}';
  END IF;
END $revoke$;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO ${owner};
${isCatalog ? `GRANT EXECUTE ON FUNCTION ${AUTHOR_FUNCTIONS} TO clickledger_author;\n` : ''}`;
}

/**
 * Returns the SQL that undoes `revocationSql` for the functions in the database in which it is run. This is needed before pg_upgrade, which
 * copies all rights that were changed since the installation of Postgres. It fails if the newer version lacks one of these functions or has
 * it with other arguments.
 */
export function restorationSql(owner: string): string {
  return `DO $restore$
DECLARE
  functions text := (SELECT string_agg(oid::regprocedure::text, ', ') FROM pg_proc
    WHERE proacl IS NOT NULL AND ${IS_LIMITED}
      AND NOT EXISTS (SELECT FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = pg_proc.oid AND i.objsubid = 0));
  grantee text;
BEGIN
  IF functions IS NULL THEN RETURN; END IF;
  EXECUTE 'GRANT EXECUTE ON FUNCTION ' || functions || ' TO PUBLIC';
  -- The functions belong to the first superuser, who may execute them since the installation. So this role keeps its right.
  FOR grantee IN SELECT quote_ident(rolname) FROM pg_roles
    WHERE quote_ident(rolname) IN ('${owner.replaceAll("'", "''")}', 'clickledger_author') AND oid <> (SELECT proowner FROM pg_proc WHERE oid = 'pg_catalog.pg_sleep'::regproc)
  LOOP
    EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || functions || ' FROM ' || grantee;
  END LOOP;
END $restore$;
`;
}

/** Whether PUBLIC may execute neither a DO block nor any of the functions in this database. */
export async function isRevoked(client: pg.Client): Promise<boolean> {
  const { rows } = await client.query<{ revoked: boolean }>(
    `SELECT NOT has_language_privilege('public', 'plpgsql', 'USAGE') AND NOT EXISTS (SELECT FROM pg_proc WHERE ${REVOCABLE}) AS revoked`,
  );
  return rows[0]?.revoked === true;
}
