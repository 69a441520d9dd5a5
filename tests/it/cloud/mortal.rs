//! A process that dies: every effect on the cloud, its DNS and its instances has a point before it and one after.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use homeroom::{
    domain::{
        Clean, NodeName,
        cloud::{CloudView, InstanceSpec, InstanceView, Past, RuleSpec},
    },
    port::{
        Cloud, CloudError, Dns, RemoteShell,
        agent::ExecOutput,
        cloud::{Ended, Offer, OperationId, Serial},
        copy::{Copied, CopyError, Transfer},
        dns::Published,
        shell::{ShellError, ShellSession, ShellTarget, Tty},
    },
};
use secrecy::SecretString;
use tokio::sync::Notify;

/// The thread of a life.
pub struct Thread {
    passed: AtomicU64,
    die_at: Option<u64>,
    died: Notify,
}

impl Thread {
    pub fn new(die_at: Option<u64>) -> Self {
        Self { passed: AtomicU64::new(0), die_at, died: Notify::new() }
    }

    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    pub async fn died(&self) {
        self.died.notified().await;
    }

    async fn point(&self) {
        let point = self.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if self.die_at.is_some_and(|at| point >= at) {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }

    async fn effect<T>(&self, deed: impl Future<Output = T>) -> T {
        self.point().await;
        let done = deed.await;
        self.point().await;
        done
    }
}

/// One process's way to the project.
pub struct Mortal {
    pub thread: Arc<Thread>,
    pub cloud: Arc<dyn Cloud>,
    pub dns: Arc<dyn Dns>,
    pub shell: Arc<dyn RemoteShell>,
}

type Asked = Result<OperationId, CloudError>;

#[async_trait]
impl Cloud for Mortal {
    fn project(&self) -> &str {
        self.cloud.project()
    }

    async fn view(&self) -> Result<CloudView, CloudError> {
        self.cloud.view().await
    }

    async fn instance(&self, zone: &NodeName, name: &str) -> Result<InstanceView, CloudError> {
        self.cloud.instance(zone, name).await
    }

    async fn past(&self, zone: &NodeName, id: &str) -> Result<Past, CloudError> {
        self.cloud.past(zone, id).await
    }

    async fn held(&self, permissions: &[&str]) -> Result<BTreeSet<String>, CloudError> {
        self.cloud.held(permissions).await
    }

    async fn offers(&self, zone: &NodeName, machine_type: &str) -> Result<Offer, CloudError> {
        self.cloud.offers(zone, machine_type).await
    }

    async fn keep_disk(&self, zone: &NodeName, name: &str, keep: bool, request: &str) -> Asked {
        self.thread.effect(self.cloud.keep_disk(zone, name, keep, request)).await
    }

    async fn begun_rule(&self, request: &str) -> Result<Option<OperationId>, CloudError> {
        self.cloud.begun_rule(request).await
    }

    async fn insert(&self, zone: &NodeName, spec: &InstanceSpec, request: &str) -> Asked {
        self.thread.effect(self.cloud.insert(zone, spec, request)).await
    }

    async fn begun(&self, zone: &NodeName, request: &str) -> Result<Option<OperationId>, CloudError> {
        self.cloud.begun(zone, request).await
    }

    async fn start(&self, zone: &NodeName, name: &str, request: &str) -> Asked {
        self.thread.effect(self.cloud.start(zone, name, request)).await
    }

    async fn remove(&self, zone: &NodeName, name: &str, request: &str) -> Asked {
        self.thread.effect(self.cloud.remove(zone, name, request)).await
    }

    async fn remove_disk(&self, zone: &NodeName, name: &str, request: &str) -> Asked {
        self.thread.effect(self.cloud.remove_disk(zone, name, request)).await
    }

    async fn relabel(&self, zone: &NodeName, name: &str, labels: &BTreeMap<String, String>) -> Result<(), CloudError> {
        self.thread.effect(self.cloud.relabel(zone, name, labels)).await
    }

    async fn insert_rule(&self, rule: &RuleSpec, request: &str) -> Asked {
        self.thread.effect(self.cloud.insert_rule(rule, request)).await
    }

    async fn update_rule(&self, rule: &RuleSpec, request: &str) -> Asked {
        self.thread.effect(self.cloud.update_rule(rule, request)).await
    }

    async fn remove_rule(&self, name: &str, request: &str) -> Asked {
        self.thread.effect(self.cloud.remove_rule(name, request)).await
    }

    async fn wait(&self, operation: &OperationId) -> Result<Option<Ended>, CloudError> {
        let done = self.cloud.wait(operation).await;
        self.thread.point().await;
        done
    }

    async fn attributes(
        &self,
        zone: &NodeName,
        name: &str,
        namespace: &str,
    ) -> Result<BTreeMap<String, Clean>, CloudError> {
        self.cloud.attributes(zone, name, namespace).await
    }

    async fn serial(&self, zone: &NodeName, name: &str, from: i64) -> Result<Serial, CloudError> {
        self.cloud.serial(zone, name, from).await
    }

    async fn ask(&self, address: IpAddr, port: u16, path: &str, within: Duration) -> Result<u16, Clean> {
        self.cloud.ask(address, port, path, within).await
    }
}

#[async_trait]
impl Dns for Mortal {
    async fn find(&self, name: &str) -> Result<Option<Published>, CloudError> {
        self.dns.find(name).await
    }

    async fn marked(&self, mark: &str) -> Result<Vec<String>, CloudError> {
        self.dns.marked(mark).await
    }

    async fn publish(&self, name: &str, address: Ipv4Addr, mark: &str) -> Result<(), CloudError> {
        self.thread.effect(self.dns.publish(name, address, mark)).await
    }

    async fn withdraw(&self, name: &str) -> Result<(), CloudError> {
        self.thread.effect(self.dns.withdraw(name)).await
    }
}

#[async_trait]
impl RemoteShell for Mortal {
    fn unlock(&self, key: &Path, passphrase: SecretString) {
        self.shell.unlock(key, passphrase);
    }

    fn trust(&self, host: &str, key: &str) -> Result<(), Clean> {
        self.shell.trust(host, key)
    }

    async fn run(&self, target: &ShellTarget, command: &str, within: Duration) -> Result<ExecOutput, ShellError> {
        match command.starts_with("docker restart") || command.starts_with("docker start") {
            true => self.thread.effect(self.shell.run(target, command, within)).await,
            false => self.shell.run(target, command, within).await,
        }
    }

    async fn start(&self, target: &ShellTarget, command: &str) -> Result<ShellSession, ShellError> {
        self.thread.effect(self.shell.start(target, command)).await
    }

    async fn copy(&self, target: &ShellTarget, transfer: &Transfer) -> Result<Copied, CopyError> {
        self.shell.copy(target, transfer).await
    }

    async fn open_as(
        &self,
        target: &ShellTarget,
        tty: &Tty,
        command: Option<&str>,
    ) -> Result<ShellSession, ShellError> {
        self.shell.open_as(target, tty, command).await
    }
}
