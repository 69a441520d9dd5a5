//! Who is who: host keys that are new, changed, revoked or a guest's, and keys of one's own that are refused or want a
//! passphrase.

use std::{fs, process::Command};

use homeroom::{
    backend::ssh::{
        Ssh,
        keys::{lab_key, public_line},
        name_of, trust, write_down,
    },
    port::{
        RemoteShell,
        shell::{HostKey, ShellError, ShellTarget},
    },
};

use super::{Server, WITHIN};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_with_another_host_key_is_let_nobody_in_and_the_advice_works() {
    let server = Server::start();
    let known_hosts = server.folder.path().join("known_hosts");
    let (ssh, name) = (server.ssh(), name_of("127.0.0.1", server.target.port));
    let own = public_line(&server.folder.path().join("host")).unwrap();
    let own = own.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let stranger = lab_key(&server.folder.path().join("other-host"), "other", 0o600).unwrap();

    fs::remove_file(&known_hosts).unwrap();
    let error = ssh.run(&server.target, "true", WITHIN).await.unwrap_err();
    let ShellError::UnknownHost { host, fingerprint, key } = &error else { panic!("{error:?}") };
    assert_eq!((host, key.as_str()), (&name, own.as_str()));
    assert!(error.to_string().contains(&format!("`homeroom doctor --trust {fingerprint}`")), "{error}");
    fs::write(server.folder.path().join("host.pub"), &own).unwrap();
    let printing = Command::new("ssh-keygen").arg("-lf").arg(server.folder.path().join("host.pub")).output();
    let printed = printing.unwrap().stdout;
    assert!(String::from_utf8_lossy(&printed).contains(fingerprint.as_str()), "as OpenSSH spells it");

    trust(&known_hosts, &name, &stranger).unwrap();
    let error = ssh.run(&server.target, "true", WITHIN).await.unwrap_err();
    let ShellError::WrongHost { guest: false, key, fingerprint, .. } = &error else { panic!("{error:?}") };
    assert!(
        error.to_string().contains(&format!("`homeroom doctor --trust {fingerprint}` takes the new key")),
        "{error}"
    );
    // What the advice does.
    write_down(&known_hosts, &name, key, 0o600, true).unwrap();
    assert_eq!(ssh.run(&server.target, "true", WITHIN).await.unwrap().code, Some(0));

    fs::write(&known_hosts, format!("{name} {own}\n@revoked * {own}\n")).unwrap();
    let error = ssh.run(&server.target, "true", WITHIN).await.unwrap_err();
    assert!(matches!(&error, ShellError::WrongHost { known, .. } if known == "revoked"), "{error:?}");

    // A guest's is what its agent told, whatever the file says.
    let guest = |key: &str| ShellTarget { host_key: HostKey::Exactly(vec![key.to_owned()]), ..server.target.clone() };
    let error = ssh.run(&guest(&stranger), "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::WrongHost { guest: true, .. }), "{error:?}");
    assert!(error.to_string().contains("`homeroom check LAB/SEAT`"), "{error}");
    assert_eq!(ssh.run(&guest(&own), "true", WITHIN).await.unwrap().code, Some(0));
    // On the way, too.
    fs::write(&known_hosts, format!("{name} {stranger}\n")).unwrap();
    let through = ShellTarget { via: Some(Box::new(server.target.clone())), ..guest(&own) };
    let error = ssh.run(&through, "true", WITHIN).await.unwrap_err();
    assert!(matches!(error, ShellError::WrongHost { guest: false, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_refuses_a_key_it_does_not_know_by_name() {
    let server = Server::start();
    let stranger = server.folder.path().join("stranger");
    lab_key(&stranger, "stranger", 0o600).unwrap();
    let only = ShellTarget { keys: vec![stranger.clone()], ..server.target.clone() };
    let error = server.ssh().run(&only, "true", WITHIN).await.unwrap_err();
    assert!(matches!(&error, ShellError::Denied { locked: None, .. }), "{error:?}");
    assert!(error.to_string().ends_with(&format!("{} was refused", stranger.display())), "{error}");
    // It is offered, and then the next.
    let both = ShellTarget { keys: vec![stranger, server.target.keys[0].clone()], ..only };
    assert_eq!(server.ssh().run(&both, "true", WITHIN).await.unwrap().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs /usr/sbin/sshd"]
async fn openssh_lets_in_by_keys_of_every_format_once_their_passphrase_is_given() {
    let server = Server::start();
    let mut authorized = String::new();
    let mut made = Vec::new();
    for (kind, format) in [
        ("ed25519", "RFC4716"),
        ("rsa", "RFC4716"),
        ("rsa", "PEM"),
        ("rsa", "PKCS8"),
        ("ecdsa", "RFC4716"),
        ("ecdsa", "PEM"),
        ("ecdsa", "PKCS8"),
    ] {
        let file = server.folder.path().join(format!("{kind}-{format}"));
        let done = Command::new("ssh-keygen")
            .args(["-q", "-t", kind, "-m", format, "-N", "open sesame", "-f"])
            .arg(&file)
            .status()
            .unwrap();
        assert!(done.success(), "{kind} {format}");
        authorized.push_str(&fs::read_to_string(file.with_extension("pub")).unwrap());
        made.push(file);
    }
    fs::write(server.folder.path().join("authorized_keys"), authorized).unwrap();
    for file in made {
        let ssh: Ssh = server.ssh();
        let target = ShellTarget { keys: vec![file.clone()], ..server.target.clone() };
        let is_locked = |error: &ShellError| {
            matches!(error, ShellError::Denied { locked: Some(key), .. } if *key == file) && error.bar().is_some()
        };
        let error = ssh.run(&target, "true", WITHIN).await.unwrap_err();
        assert!(is_locked(&error), "it is asked for: {error:?}");
        ssh.unlock(&file, "open barley".into());
        let error = ssh.run(&target, "true", WITHIN).await.unwrap_err();
        assert!(is_locked(&error), "it is asked for again: {error:?}");
        ssh.unlock(&file, "open sesame".into());
        let done = ssh.run(&target, "true", WITHIN).await;
        assert_eq!(done.map(|done| done.code), Ok(Some(0)), "{}", file.display());
    }
}
