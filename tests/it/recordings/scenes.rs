//! For each recording, what has to happen before it on the simulated machine.

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub enum Do {
    /// A call; its UPID or pid is remembered.
    Call(&'static str, &'static str),
    /// A call like that by the pool's token.
    AsPool(&'static str, &'static str),
    /// So many modelled milliseconds pass.
    Skip(u64),
    /// Something done to the world without the API, by name.
    World(&'static str),
}

use Do::{AsPool, Call, Skip, World};

const FULL_CLONE: Do = Call("POST /nodes/pve1/qemu/9000/clone", "newid=401&name=slow&full=1&bwlimit=20000");
const CLONE_501: Do = Call("POST /nodes/pve1/qemu/9000/clone", "newid=501&full=1&name=json-true");
const CLONE_202: Do = Call("POST /nodes/pve1/qemu/9000/clone", "newid=202&name=linked-default");
const CLONE_211: Do = Call("POST /nodes/pve1/qemu/9000/clone", "newid=211&name=warn");
const CLONE_221: Do = Call("POST /nodes/pve1/qemu/9000/clone", "newid=221&name=runner-221");
const START_9000: Do = Call("POST /nodes/pve1/qemu/9000/status/start", "");
const START_201: Do = Call("POST /nodes/pve1/qemu/201/status/start", "");
const START_202: Do = Call("POST /nodes/pve1/qemu/202/status/start", "");
const START_211: Do = Call("POST /nodes/pve1/qemu/211/status/start", "");
const START_221: Do = Call("POST /nodes/pve1/qemu/221/status/start", "");
const STOP_221: Do = Call("POST /nodes/pve1/qemu/221/status/stop", "");
const SHUTDOWN_221: Do = Call("POST /nodes/pve1/qemu/221/status/shutdown", "timeout=5");
const SNAPSHOT: Do = Call("POST /nodes/pve1/qemu/211/snapshot", "snapname=s1&description=x");
const BOOT: Do = Skip(40_000);
const DONE: Do = Skip(12_000);
/// Long enough for a call's answer and a task's first steps, too short for a copy's end.
const SOON: Do = Skip(700);
const POOL_CLONE: Do = AsPool("POST /nodes/pve1/qemu/9000/clone", "newid=301&pool=runners&name=viapool");

/// What happens before a recording.
pub fn before(name: &str) -> Vec<Do> {
    let running = name.ends_with("_task_status_running");
    let end = |mut all: Vec<Do>| {
        if !running {
            all.push(DONE);
        }
        all
    };
    let exec = |what: &'static str| {
        vec![World("plain 9000"), START_9000, BOOT, Call("POST /nodes/pve1/qemu/9000/agent/exec", what)]
    };
    match name {
        "cluster2_get_cluster_tasks" => vec![World("second node off"), CLONE_202, DONE, CLONE_211, DONE],
        _ if name.starts_with("cluster2_") => vec![World("second node off")],
        // before the template was made
        "err_agent_not_running_yet" => vec![World("plain 9000"), START_9000, Skip(2000)],
        "err_agent_vm_not_running" => vec![World("plain 9000")],
        "get_status_current_stopped" | "get_qemu_config_9000" | "get_qemu_pending" | "post_template" => {
            vec![World("plain 9000")]
        }
        "err_delete_running_vm" | "post_template_of_running_vm" => vec![World("plain 9000"), START_9000, BOOT],
        "get_cluster_resources" | "get_qemu_list" | "get_qemu_list_full" => {
            vec![World("alone"), World("plain 9000"), START_9000, BOOT]
        }
        "err_linked_clone_of_nontemplate"
        | "err_create_vmid_exists"
        | "err_400_nextid_taken"
        | "get_qemu_config"
        | "delete_qemu_template" => vec![World("base 100")],
        "post_qemu_create_import_cloudinit" | "err_create_import_from_abs_path_token" => vec![World("no 9000")],
        // agents
        "err_agent_not_configured_network_get_interfaces" | "err_agent_not_configured_ping" => {
            vec![CLONE_202, DONE, World("no agent 202"), START_202, BOOT]
        }
        "err_agent_exec_status_second_read" => [
            exec("command=/bin/echo&command=hello"),
            vec![SOON, Call("GET /nodes/pve1/qemu/9000/agent/exec-status", "")],
        ]
        .concat(),
        "get_agent_exec_status_input_data_running" => exec("command=/bin/sh&command=-c&command=sleep 1; cat"),
        "get_agent_exec_status_input_data_done" => {
            [exec("command=/bin/cat&input-data=line1\nline2\n"), vec![SOON]].concat()
        }
        "get_agent_exec_status_sleep3_running" | "get_agent_exec_status_big_output_done" => {
            exec("command=/bin/sh&command=-c&command=sleep 3; echo slept")
        }
        "get_agent_exec_status_sleep3_done" => {
            [exec("command=/bin/sh&command=-c&command=sleep 3; echo slept"), vec![Skip(4000)]].concat()
        }
        "get_agent_exec_status_killed_by_signal_done" => {
            [exec("command=/bin/sh&command=-c&command=kill -9 $$"), vec![SOON]].concat()
        }
        "get_agent_exec_status_stdout_stderr_exit3_done" => {
            [exec("command=/bin/sh&command=-c&command=echo out; echo err >%262; exit 3"), vec![SOON]].concat()
        }
        "get_agent_exec_status_utf8_and_nul_done" => {
            [exec("command=/bin/sh&command=-c&command=printf 'gr\\303\\274n \\377\\000 end'"), vec![SOON]].concat()
        }
        "get_agent_exec_status_4000000_bytes_output" => vec![
            CLONE_211,
            DONE,
            START_211,
            BOOT,
            Call(
                "POST /nodes/pve1/qemu/211/agent/exec",
                "command=/bin/sh&command=-c&command=head -c 4000000 /dev/zero | tr '\\000' x",
            ),
            Skip(60_000),
        ],
        "get_agent_exec_status_100000_bytes_output" => vec![
            CLONE_211,
            DONE,
            START_211,
            BOOT,
            Call(
                "POST /nodes/pve1/qemu/211/agent/exec",
                "command=/bin/sh&command=-c&command=head -c 100000 /dev/zero | tr '\\000' x",
            ),
            Skip(60_000),
        ],
        "get_agent_exec_status_17MB_output" => vec![
            START_201,
            BOOT,
            Call(
                "POST /nodes/pve1/qemu/201/agent/exec",
                "command=/bin/sh&command=-c&command=head -c 17000000 /dev/zero | tr '\\000' x",
            ),
        ],
        "get_agent_file_read" => vec![
            World("plain 9000"),
            START_9000,
            BOOT,
            Call("POST /nodes/pve1/qemu/9000/agent/file-write", "file=/tmp/x.txt&content=hällo\n"),
        ],
        "get_agent_file_read_60000" => {
            vec![START_201, BOOT, Call("POST /nodes/pve1/qemu/201/agent/file-write", "file=/tmp/big&content=zzzz")]
        }
        "err_agent_exec_while_agent_hangs"
        | "err_agent_network_get_interfaces_while_agent_hangs"
        | "err_agent_ping_while_agent_hangs" => {
            vec![START_201, BOOT, World("silent 201")]
        }
        "get_agent_network_get_interfaces" | "agent_exec_200k_command" | "post_agent_file_write_60000" => {
            vec![START_201, BOOT]
        }
        _ if name.contains("agent") && !name.starts_with("err_4") && !name.starts_with("hung") => {
            vec![World("plain 9000"), START_9000, BOOT]
        }
        // hung
        "hung_qemu_qmshutdown_task_log" | "hung_qemu_qmshutdown_task_status_done" => {
            vec![CLONE_221, DONE, START_221, BOOT, World("hung 221"), SHUTDOWN_221, DONE]
        }
        "hung_qemu_qmshutdown_task_status_running" => {
            vec![CLONE_221, DONE, START_221, BOOT, World("hung 221"), SHUTDOWN_221]
        }
        "hung_qemu_qmstop_task_log" | "hung_qemu_qmstop_task_status_done" | "hung_qemu_status_after_stop" => {
            vec![CLONE_221, DONE, START_221, BOOT, World("hung 221"), STOP_221, Skip(90_000)]
        }
        "hung_qemu_qmstop_task_status_running" => vec![CLONE_221, DONE, START_221, BOOT, World("hung 221"), STOP_221],
        _ if name.starts_with("hung_qemu") => {
            vec![CLONE_221, DONE, START_221, BOOT, World("tags 201"), World("hung 221"), BOOT]
        }
        "crashed_qemu_status_current" => vec![World("runner 222")],
        "crashed_qemu_cluster_resources_right_after" => {
            vec![
                World("tags 201"),
                World("runner 222"),
                Call("POST /nodes/pve1/qemu/222/status/start", ""),
                BOOT,
                World("crash 222"),
            ]
        }
        // locked
        "locked_backup_delete_task_log" | "locked_backup_delete_task_status_done" => {
            vec![CLONE_501, DONE, World("lock 501"), Call("DELETE /nodes/pve1/qemu/501", ""), DONE]
        }
        "locked_backup_resize_task_log" | "locked_backup_resize_task_status_done" => vec![
            CLONE_501,
            DONE,
            World("lock 501"),
            Call("PUT /nodes/pve1/qemu/501/resize", "disk=scsi0&size=%2B1M"),
            DONE,
        ],
        "locked_backup_stop_task_log" | "locked_backup_stop_task_status_done" => {
            vec![CLONE_501, DONE, World("lock 501"), Call("POST /nodes/pve1/qemu/501/status/stop", ""), DONE]
        }
        _ if name.starts_with("locked_backup") => vec![CLONE_501, DONE, World("lock 501")],
        "get_config_gzip_accept" | "err_put_config_delete_lock" => vec![CLONE_501, DONE],
        "err_content_type_text_plain" => vec![],
        // no majority
        _ if name.starts_with("noquorum_delete_task") => {
            end(vec![World("second node off"), World("no quorum"), Call("DELETE /nodes/pve1/qemu/203", "")])
        }
        _ if name.starts_with("noquorum") => vec![World("second node off"), World("no quorum")],
        // privileges
        _ if name.starts_with("perm_none") => vec![World("rights none")],
        "err_403_clone_no_allocate_on_newid" => vec![World("rights pool")],
        "perm_whole_get_access_permissions" => vec![World("rights pool")],
        "post_clone_pool_token_ok" => vec![World("rights pool")],
        "perm_pool_get_cluster_resources_vm" => vec![World("rights pool"), BOOT, POOL_CLONE, SOON],
        "perm_pool_get_config_after_delete" => {
            vec![World("rights pool"), POOL_CLONE, DONE, Call("DELETE /nodes/pve1/qemu/301", ""), DONE]
        }
        "perm_pool_get_node_tasks" => {
            vec![World("rights pool"), POOL_CLONE, DONE, AsPool("POST /nodes/pve1/qemu/301/status/start", ""), DONE]
        }
        _ if name.starts_with("perm_pool") => vec![World("rights pool"), POOL_CLONE, DONE],
        _ if name.starts_with("qmclone_by_privsep_token") => end(vec![World("rights pool"), POOL_CLONE]),
        "post_access_ticket_ok" | "err_401_access_ticket_bad_password" => vec![World("rights pool")],
        // while a clone is copied
        "get_cluster_nextid_while_cloning"
        | "get_status_of_vm_being_cloned"
        | "get_config_of_vm_being_cloned"
        | "err_clone_newid_in_progress"
        | "err_put_config_while_clone_target_locked"
        | "err_resize_while_clone_target_locked"
        | "delete_clone_target_while_cloning"
        | "delete_template_while_being_cloned"
        | "post_clone_parallel_same_template"
        | "post_start_while_clone_target_locked"
        | "put_config_of_template_while_being_cloned"
        | "get_node_tasks_active_running"
        | "get_task_status_running"
        | "get_task_log_running"
        | "get_task_log_limit0"
        | "get_task_log_start_past_end"
        | "delete_task_stop" => vec![FULL_CLONE, SOON],
        "get_cluster_resources_while_cloning" | "get_qemu_list_while_cloning" => {
            vec![World("tags 201"), BOOT, FULL_CLONE, SOON]
        }
        "get_task_log_running_clone" => {
            vec![Call("POST /nodes/pve1/qemu/9000/clone", "newid=303&full=1&storage=fast&format=qcow2"), SOON]
        }
        "delete_task_stop_when_already_stopped"
        | "get_task_status_just_after_stop"
        | "qmclone_aborted_task_log"
        | "qmclone_aborted_task_status_done" => {
            vec![FULL_CLONE, Skip(14_000), Call("DELETE /nodes/pve1/tasks/{upid}", "")]
        }
        "get_node_tasks_errors" => vec![
            START_9000,
            DONE,
            FULL_CLONE,
            SOON,
            Call("DELETE /nodes/pve1/tasks/{upid}", ""),
            Call("DELETE /nodes/pve1/qemu/9000", ""),
            DONE,
        ],
        _ if name.starts_with("qmdestroy_clone_target_while_cloning") => {
            end(vec![World("slow"), FULL_CLONE, SOON, Call("DELETE /nodes/pve1/qemu/401", "")])
        }
        _ if name.starts_with("qmdestroy_template_while_cloning") => {
            end(vec![World("slow"), FULL_CLONE, SOON, Call("DELETE /nodes/pve1/qemu/9000", "")])
        }
        _ if name.starts_with("qmdestroy_template_in_use") => end(vec![Call("DELETE /nodes/pve1/qemu/9000", "")]),
        _ if name.starts_with("qmdestroy_template_task") => {
            end(vec![World("base 100"), Call("DELETE /nodes/pve1/qemu/100", "purge=1")])
        }
        _ if name.starts_with("qmclone_full_task") => {
            end(vec![Call("POST /nodes/pve1/qemu/9000/clone", "newid=303&full=1&storage=fast&format=qcow2")])
        }
        "task_log_worker_killed_9"
        | "task_status_worker_killed_9"
        | "task_status_worker_killed_9_later"
        | "get_config_after_worker_killed_9"
        | "get_node_tasks_after_worker_killed_9" => {
            vec![Call("POST /nodes/pve1/qemu/9000/clone", "newid=504&name=killme&full=1"), SOON, World("kill -9")]
        }
        _ if name.starts_with("race_clone_same_newid_0_task") => vec![
            Call("POST /nodes/pve1/qemu/9000/clone", "newid=650&name=race1"),
            Call("POST /nodes/pve1/qemu/9000/clone", "newid=650&name=race0"),
            DONE,
        ],
        // configuration
        "get_config_after_put" => {
            vec![Call("PUT /nodes/pve1/qemu/201/config", "cores=2&memory=768&tags=ci%3Bglad&description=hello%0Aworld")]
        }
        "put_config_delete_key" => vec![Call("PUT /nodes/pve1/qemu/201/config", "description=x")],
        "put_config_running_vm_pending" => vec![CLONE_202, DONE, World("no agent 202"), START_202, BOOT],
        "get_config_running_with_pending_current1" | "get_qemu_pending_with_pending" => vec![
            CLONE_202,
            DONE,
            World("no agent 202"),
            START_202,
            BOOT,
            Call("PUT /nodes/pve1/qemu/202/config", "agent=1&memory=640&cores=1"),
        ],
        _ if name.starts_with("qmconfig_async") => end(vec![Call("POST /nodes/pve1/qemu/201/config", "cores=1")]),
        _ if name.starts_with("resize_no_such_disk") => {
            end(vec![Call("PUT /nodes/pve1/qemu/201/resize", "disk=scsi7&size=%2B1G")])
        }
        _ if name.starts_with("resize_shrink") => {
            end(vec![Call("PUT /nodes/pve1/qemu/201/resize", "disk=scsi0&size=1G")])
        }
        _ if name.starts_with("resize_task") => {
            end(vec![Call("PUT /nodes/pve1/qemu/201/resize", "disk=scsi0&size=%2B512M")])
        }
        _ if name.starts_with("resize_running") => end(vec![
            CLONE_221,
            DONE,
            START_221,
            BOOT,
            Call("PUT /nodes/pve1/qemu/221/resize", "disk=scsi0&size=%2B256M"),
        ]),
        "put_resize_running" => vec![CLONE_221, DONE, START_221, BOOT],
        "put_config_iothread_wrong_controller"
        | "err_linked_clone_from_snapshot_of_dir_storage"
        | "get_snapshots"
        | "post_snapshot_rollback" => vec![CLONE_211, DONE, SNAPSHOT, DONE],
        "get_feature_clone_nontemplate" => vec![CLONE_211, DONE],
        _ if name.starts_with("qmsnapshot") => end(vec![CLONE_211, DONE, SNAPSHOT]),
        _ if name.starts_with("qmrollback") => {
            end(vec![CLONE_211, DONE, SNAPSHOT, DONE, Call("POST /nodes/pve1/qemu/211/snapshot/s1/rollback", "")])
        }
        // power
        "post_start_with_warning" => vec![CLONE_211, DONE, World("iothread 211")],
        _ if name.starts_with("qmstart_with_warnings") => end(vec![CLONE_211, DONE, World("iothread 211"), START_211]),
        "get_node_tasks_with_warnings_status" => vec![CLONE_211, DONE, World("iothread 211"), START_211, DONE],
        "get_cluster_tasks_with_warning" => vec![CLONE_211, DONE, START_9000, DONE, START_201, DONE],
        "get_cluster_tasks_early" => vec![],
        "get_node_tasks_default_running" => {
            vec![Call("POST /nodes/pve1/qemu", "vmid=100&name=base&memory=512&scsi0=local:1"), DONE]
        }
        "get_node_tasks_start_limit" => vec![CLONE_202, DONE, CLONE_211, DONE, CLONE_221, DONE, CLONE_501, DONE],
        "post_reset" => vec![CLONE_211, DONE, START_211, BOOT],
        _ if name.starts_with("qmreset") => {
            vec![CLONE_211, DONE, START_211, BOOT, Call("POST /nodes/pve1/qemu/211/status/reset", ""), DONE]
        }
        "post_stop" | "post_shutdown_timeout" => vec![CLONE_202, DONE, START_202, BOOT],
        "post_shutdown_forceStop" => vec![START_201, BOOT],
        _ if name.starts_with("qmshutdown_stopped") => {
            vec![Call("POST /nodes/pve1/qemu/9000/status/shutdown", ""), DONE]
        }
        _ if name.starts_with("qmstop_stopped") => vec![Call("POST /nodes/pve1/qemu/9000/status/stop", ""), DONE],
        _ if name.starts_with("qmshutdown_task") => {
            end(vec![World("plain 9000"), START_9000, BOOT, Call("POST /nodes/pve1/qemu/9000/status/shutdown", "")])
        }
        _ if name.starts_with("qmstart_template") => vec![START_9000, DONE],
        _ if name.starts_with("qmstart_already_running") => vec![CLONE_221, DONE, START_221, BOOT, START_221, DONE],
        "post_start_when_already_running" => vec![CLONE_221, DONE, START_221, BOOT],
        "get_task_index" => vec![CLONE_221, DONE, START_221],
        _ if name.starts_with("qmstart_task") => end(vec![CLONE_221, DONE, START_221]),
        _ if name.starts_with("qmtemplate") => {
            end(vec![World("plain 9000"), Call("POST /nodes/pve1/qemu/9000/template", "")])
        }
        _ if name.starts_with("qmcreate") => end(vec![Call(
            "POST /nodes/pve1/qemu",
            "vmid=100&name=base&memory=512&cores=1&scsi0=local:1&net0=virtio%2Cbridge%3Dvmbr0",
        )]),
        "delete_qemu" | "get_cloudinit_dump_user" => vec![CLONE_221, DONE],
        "get_cluster_resources_vm" => vec![World("tags 201"), CLONE_221, DONE, START_221, BOOT],
        "get_storage_content" => vec![World("empty local")],
        "get_version_with_ticket_cookie" | "err_401_post_ticket_without_csrf" => {
            vec![Call("POST /access/ticket", "username=ci@pve&password=ci-pass-12345")]
        }
        "err_595_connection_refused"
        | "err_node_name_resolves_connection_refused"
        | "err_node_name_resolves_no_route" => {
            vec![World("strangers")]
        }
        "err_500_got_no_worker_upid_under_load" => vec![World("busy")],
        _ => vec![],
    }
}
