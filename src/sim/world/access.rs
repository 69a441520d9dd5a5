//! Users, tokens, roles and access lists, and what they add up to.

use std::collections::{BTreeMap, BTreeSet};

use super::World;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// `user@realm`.
    pub user: String,
    /// The token's name.
    pub token: Option<String>,
}

impl Who {
    /// root@pam, as `qm` on a node runs.
    pub fn root() -> Self {
        Self { user: "root@pam".into(), token: None }
    }

    /// Reads `user@realm` or `user@realm!token`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('!') {
            Some((user, token)) => Self { user: user.into(), token: Some(token.into()) },
            None => Self { user: text.into(), token: None },
        }
    }

    /// As it stands in UPIDs.
    pub fn id(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }

    /// root@pam itself; its tokens are not.
    pub fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }
}

/// A user.
#[derive(Clone, Debug, Default)]
pub struct User {
    /// The password, for tickets.
    pub password: Option<String>,
    /// Free text.
    pub comment: String,
    /// API tokens by name.
    pub tokens: BTreeMap<String, Token>,
}

/// An API token.
#[derive(Clone)]
pub struct Token {
    /// Its secret.
    pub secret: String,
    /// Limited to its own access lists?
    pub privsep: bool,
    /// Free text.
    pub comment: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("privsep", &self.privsep).finish_non_exhaustive()
    }
}

/// A line of the access list.
#[derive(Clone, Debug)]
pub struct Acl {
    /// `/`, `/vms/100`, `/pool/p`, …
    pub path: String,
    /// `user@realm` or `user@realm!token`.
    pub who: String,
    /// The role.
    pub role: String,
    /// Below the path too?
    pub propagate: bool,
}

/// Everything about access.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Users by id.
    pub users: BTreeMap<String, User>,
    /// Privileges of a role; special ones come with Proxmox.
    pub roles: BTreeMap<String, (BTreeSet<String>, bool)>,
    /// The access list.
    pub acls: Vec<Acl>,
}

/// Privileges with their propagation.
pub type Privileges = BTreeMap<String, bool>;

impl Access {
    /// Every privilege there is.
    pub fn all(&self) -> BTreeSet<String> {
        self.roles.get("Administrator").map(|(privileges, _)| privileges.clone()).unwrap_or_default()
    }

    /// The roles an id has on a path, from the access list alone.
    fn roles(&self, who: &str, path: &str) -> BTreeMap<String, bool> {
        let mut found: BTreeMap<String, bool> = BTreeMap::new();
        for level in levels(path) {
            let here: Vec<&Acl> = self
                .acls
                .iter()
                .filter(|acl| acl.who == who && acl.path == level && (acl.propagate || level == path))
                .collect();
            if !here.is_empty() {
                found = here.iter().map(|acl| (acl.role.clone(), acl.propagate)).collect();
            }
        }
        if found.contains_key("NoAccess") {
            return BTreeMap::from([("NoAccess".to_owned(), true)]);
        }
        found
    }

    fn listed(&self, who: &str, path: &str, pool: Option<&str>) -> Privileges {
        let mut roles = self.roles(who, path);
        if let Some(pool) = pool
            && !roles.contains_key("NoAccess")
        {
            for role in self.roles(who, &format!("/pool/{pool}")).into_keys() {
                roles.entry(role).or_insert(false);
            }
        }
        let mut privileges = Privileges::new();
        for (role, propagate) in roles {
            for privilege in self.roles.get(&role).map(|(set, _)| set).into_iter().flatten() {
                let entry = privileges.entry(privilege.clone()).or_insert(false);
                *entry |= propagate;
            }
        }
        privileges
    }
}

/// `/`, `/a`, `/a/b` for `/a/b`.
fn levels(path: &str) -> Vec<String> {
    let mut all = vec!["/".to_owned()];
    let mut so_far = String::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        so_far.push('/');
        so_far.push_str(part);
        all.push(so_far.clone());
    }
    all
}

impl World {
    /// What a caller may do on a path.
    pub fn privileges(&self, who: &Who, path: &str) -> Privileges {
        let pool =
            path.strip_prefix("/vms/").and_then(|id| id.parse().ok()).and_then(|id| self.pool_of(id)).or_else(|| {
                let storage = path.strip_prefix("/storage/")?;
                self.pools
                    .iter()
                    .find(|(_, pool)| pool.storages.iter().any(|own| own == storage))
                    .map(|(id, _)| id.as_str())
            });
        let user = if who.user == "root@pam" {
            self.access.all().into_iter().map(|privilege| (privilege, true)).collect()
        } else {
            self.access.listed(&who.user, path, pool)
        };
        let Some(name) = &who.token else { return user };
        let separate =
            self.access.users.get(&who.user).and_then(|user| user.tokens.get(name)).is_none_or(|token| token.privsep);
        if !separate {
            return user;
        }
        let mut own = self.access.listed(&who.id(), path, pool);
        own.retain(|privilege, propagate| match user.get(privilege) {
            Some(of_user) => {
                *propagate &= *of_user;
                true
            }
            None => false,
        });
        own
    }

    /// May the caller do this there?
    pub fn may(&self, who: &Who, path: &str, privilege: &str) -> bool {
        who.is_root() || self.privileges(who, path).contains_key(privilege)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deeper_entry_replaces_what_came_from_above() {
        let mut access = Access::default();
        for (role, privilege) in [("A", "VM.Audit"), ("B", "VM.Clone")] {
            access.roles.insert(role.into(), (BTreeSet::from([privilege.to_owned()]), false));
        }
        for (path, role) in [("/", "A"), ("/vms/9000", "B")] {
            access.acls.push(Acl { path: path.into(), who: "ci@pve".into(), role: role.into(), propagate: true });
        }
        assert!(access.listed("ci@pve", "/vms/100", None).contains_key("VM.Audit"));
        let deep = access.listed("ci@pve", "/vms/9000", None);
        assert!(deep.contains_key("VM.Clone") && !deep.contains_key("VM.Audit"));
    }
}
