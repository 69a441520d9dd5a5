//! `cp`: files to and from seats.

use serde_json::json;

use super::desk::{Desk, fields};

#[tokio::test]
async fn files_and_folders_go_to_seats_and_come_back_byte_for_byte() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let place = |name: &str| desk.folder.path().join(name);
    std::fs::write(place("big.bin"), &bytes).unwrap();
    std::fs::create_dir_all(place("task/deep/empty")).unwrap();
    std::fs::write(place("task/one"), "1\n").unwrap();
    std::fs::write(place("task/deep/two"), "").unwrap();

    assert_eq!(desk.done(&["cp", "big.bin", "cs100/ada:"]).await, "ada: 1 file, 2929 KiB\n");
    assert_eq!(desk.done(&["cp", "cs100/ada:big.bin", "back.bin"]).await, "ada: 1 file, 2929 KiB\n");
    assert!(std::fs::read(place("back.bin")).unwrap() == bytes);
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "wc -c < big.bin"]).await, "3000000\n");

    let all = desk.json(&["cp", "--json", "-r", "task", "cs100:/tmp"]).await;
    assert_eq!((&all["ok"], &all["failed"]), (&json!(4), &json!(0)));
    assert_eq!(fields(&all["seats"][0]), ["seat", "files", "bytes", "skipped", "not_copied", "error", "seconds"]);
    desk.done(&["ssh", "cs100/linus", "--", "echo mine > /tmp/task/deep/two"]).await;
    desk.done(&["cp", "-r", "cs100:/tmp/task", "handed-in/{seat}/"]).await;
    let came = |path: &str| std::fs::read_to_string(place("handed-in").join(path)).unwrap();
    assert_eq!([came("ada/task/one"), came("ada/task/deep/two"), came("linus/task/deep/two")], ["1\n", "", "mine\n"]);
    assert!(place("handed-in/grace/task/deep/empty").is_dir());
    // The seat's name stands in paths there too, and a home folder has a name.
    desk.done(&["cp", "task/one", "cs100:/tmp/of-{seat}"]).await;
    assert_eq!(desk.done(&["ssh", "cs100/grace", "--", "cat /tmp/of-grace"]).await, "1\n");
    desk.done(&["cp", "cs100:/tmp/of-{seat}", "one/{seat}.txt"]).await;
    assert_eq!(std::fs::read_to_string(place("one/linus.txt")).unwrap(), "1\n");
    desk.done(&["cp", "task/one", "cs100/ada:~/kept"]).await;
    desk.done(&["cp", "task/one", "cs100/ada:~"]).await;
    let homes = desk.folder.path().join("homes");
    std::fs::create_dir(&homes).unwrap();
    desk.done(&["cp", "-r", "cs100/ada:~", "homes"]).await;
    let home = desk.done(&["ssh", "cs100/ada", "--", "pwd"]).await;
    let home = homes.join(home.trim().rsplit('/').next().unwrap());
    assert_eq!(std::fs::read_to_string(home.join("kept")).unwrap(), "1\n");
    assert!(home.join("one").is_file());
    // A link in a folder is left out; one that is named is followed.
    std::os::unix::fs::symlink(place("big.bin"), place("task/link")).unwrap();
    let linked = desk.done(&["cp", "-r", "task", "cs100/ada:/tmp/linked"]).await;
    assert!(linked.contains("left out, being neither a file nor a folder: task/link\nada: 2 files"), "{linked}");
    assert_eq!(desk.done(&["cp", "task/link", "cs100/ada:/tmp/"]).await, "ada: 1 file, 2929 KiB\n");
    // The kernel does not tell the size of its files.
    desk.done(&["cp", "cs100/ada:/proc/meminfo", "."]).await;
    assert!(std::fs::read_to_string(place("meminfo")).unwrap().starts_with("MemTotal"));
}

#[tokio::test]
async fn a_name_that_differs_there_is_enough_where_a_folder_takes_all_of_them() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk.done(&["exec", "cs100", "--", "hostname > notes-$(hostname).txt; mkdir -p cs100; hostname > cs100/same"])
        .await;
    desk.done(&["cp", "cs100:notes-cs100-{seat}.txt", "."]).await;
    desk.done(&["cp", "cs100:notes-cs100-{seat}.txt", "all/"]).await;
    for path in ["notes-cs100-ada.txt", "all/notes-cs100-ada.txt"] {
        assert_eq!(std::fs::read_to_string(desk.folder.path().join(path)).unwrap(), "cs100-ada\n");
    }
    let refused = desk.run(&["cp", "cs100:notes-cs100-{seat}.txt", "notes"]).await;
    assert_eq!(refused.code, 4);
    assert!(refused.err.contains("name a folder that is there"), "{}", refused.err);
    let refused = desk.run(&["cp", "cs100:{seat}/same", "."]).await;
    assert_eq!(refused.code, 4);
    assert!(refused.err.contains("4 seats would write to ./same; put {seat} into the path here"), "{}", refused.err);
    let container = desk.run(&["cp", "notes", "sim/200:"]).await;
    assert_eq!(container.code, 2);
    assert!(container.err.contains("`homeroom ssh sim/200 -- 'cat > THERE' < HERE`"), "{}", container.err);
}

/// What lies in the home of the seat's user.
async fn lies_there(desk: &Desk) -> String {
    desk.done(&["ssh", "cs100/ada", "--", "ls -a"]).await
}

#[tokio::test]
async fn an_upload_that_was_broken_off_leaves_nothing_behind_once_the_next_has_come() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk.done(&["ssh", "cs100/ada", "--", "echo theirs > .homeroom-new-00ff-1-1; echo own > .homeroom-new-notes"])
        .await;
    desk.write("small", "small\n");
    let big = std::fs::File::create(desk.folder.path().join("big")).unwrap();
    big.set_len(7 << 20).unwrap();
    let ours = |there: &str| there.lines().filter(|name| name.starts_with(".homeroom-new-")).count();
    let begun = || {
        desk.staged.cluster.world(|world| {
            let inside = world.guests[&9100].inside.as_ref().unwrap();
            inside.files.keys().filter(|path| path.contains("/.homeroom-new-")).count() > 2
        })
    };
    // One that is through before it can be cut is no witness.
    while !begun() {
        let mut cut = desk.command(&["cp", "big", "cs100/ada:kept"]);
        let mut cut = cut.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while !begun() && cut.try_wait().unwrap().is_none() {
            tokio::task::yield_now().await;
        }
        let _ = cut.kill().await;
    }
    assert_eq!(ours(&lies_there(&desk).await), 3);
    desk.done(&["cp", "small", "cs100/ada:kept"]).await;
    let there = lies_there(&desk).await;
    assert_eq!(ours(&there), 2, "what others may be at stays: {there}");
    assert_eq!(desk.done(&["ssh", "cs100/ada", "--", "cat kept .homeroom-new-notes"]).await, "small\nown\n");
}

#[tokio::test]
async fn what_may_not_be_read_there_is_named_and_all_else_comes() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let place = |name: &str| desk.folder.path().join(name);
    let made = "mkdir -p work/shut; echo 1 > work/one; echo 2 > work/two; echo 3 > work/shut/three; chmod 000 work/two work/shut";
    desk.done(&["exec", "cs100/ada", "cs100/grace", "--", made]).await;
    desk.done(&["exec", "cs100/grace", "--", "chmod 755 work/two work/shut"]).await;
    let some = desk.run(&["cp", "-r", "cs100/ada:work", "of-{seat}/"]).await;
    assert_eq!(some.code, 3, "{some:?}");
    desk.done(&["cp", "-r", "cs100/grace:work", "of-{seat}/"]).await;
    for named in ["work/two there: permission denied", "work/shut there: permission denied"] {
        assert!(some.out.contains(named), "{named}: {some:?}");
    }
    assert_eq!(std::fs::read_to_string(place("of-ada/work/one")).unwrap(), "1\n");
    assert!(!place("of-ada/work/two").exists(), "not even an empty one");
    assert_eq!(std::fs::read_to_string(place("of-grace/work/shut/three")).unwrap(), "3\n");
    // By itself, and over one that was there.
    desk.write("two", "before\n");
    let one = desk.run(&["cp", "cs100/ada:work/two", "two"]).await;
    assert_eq!((one.code, one.out.as_str()), (3, "ada: work/two there: permission denied\n"), "{one:?}");
    assert_eq!(std::fs::read_to_string(place("two")).unwrap(), "before\n");
    let left = std::fs::read_dir(desk.folder.path()).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".homeroom-")));
}

#[tokio::test]
async fn a_pattern_there_stands_for_what_matches_it() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    let made = "mkdir -p work/deep; echo a > 'work/my a.txt'; echo b > work/b.txt; echo c > work/c.log; echo d > work/.d.txt; \
                echo e > work/deep/e.txt; echo f > 'work/*.md'; echo g > work/g.md";
    desk.done(&["exec", "cs100/ada", "cs100/grace", "--", made]).await;
    let here = |folder: &str| {
        let entries = std::fs::read_dir(desk.folder.path().join(folder)).unwrap().flatten();
        let mut names: Vec<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    desk.done(&["cp", "cs100/ada:work/*.txt", "texts/"]).await;
    assert_eq!(here("texts"), ["b.txt", "my a.txt"]);
    desk.done(&["cp", "-r", "cs100/ada:work/*", "cs100/ada:work/?.log", "all/"]).await;
    assert_eq!(here("all"), ["*.md", "b.txt", "c.log", "deep", "g.md", "my a.txt"]);
    // What has that very name is meant alone.
    desk.done(&["cp", "cs100/ada:work/*.md", "one/"]).await;
    assert_eq!(here("one"), ["*.md"]);
    desk.done(&["cp", "cs100/ada:work/*.log", "c"]).await;
    assert_eq!(std::fs::read_to_string(desk.folder.path().join("c")).unwrap(), "c\n");
    let many = desk.run(&["cp", "cs100/ada:work/*.txt", "c"]).await;
    assert_eq!((many.code, many.out.contains("c: 2 match and cannot all be it; name a folder")), (3, true), "{many:?}");
    let folder = desk.run(&["cp", "cs100/ada:work/*", "flat/"]).await;
    assert_eq!((folder.code, folder.out.contains("work/deep there: it is a folder; -r copies folders")), (3, true));
    assert_eq!(here("flat").len(), 5, "all else came");
    let none = desk.run(&["cp", "cs100/ada:work/*.pdf", "x"]).await;
    assert_eq!((none.code, none.out.as_str()), (3, "ada: work/*.pdf there: nothing there matches it\n"));
    // Of several seats each under its own name.
    desk.done(&["exec", "cs100/linus", "cs100/margaret", "--", made]).await;
    let clash = desk.run(&["cp", "cs100:work/*.txt", "texts/"]).await;
    assert_eq!((clash.code, clash.err.contains("put {seat} into the path")), (4, true), "{clash:?}");
    desk.done(&["cp", "cs100:work/*.txt", "of/{seat}/"]).await;
    assert_eq!((here("of"), here("of/linus")), (here_all(), here("texts")));
}

fn here_all() -> Vec<String> {
    ["ada", "grace", "linus", "margaret"].map(str::to_owned).into()
}

#[tokio::test]
async fn what_cannot_be_copied_says_why_and_leaves_what_was_there() {
    let desk = Desk::new().await;
    desk.done(&["check", "cs100"]).await;
    desk.write("kept", "old\n");
    std::fs::create_dir(desk.folder.path().join("task")).unwrap();
    // More than the guest takes.
    let huge = std::fs::File::create(desk.folder.path().join("huge")).unwrap();
    huge.set_len(65 << 20).unwrap();
    desk.done(&["cp", "kept", "cs100/ada:kept"]).await;
    assert_eq!(desk.run(&["cp", "huge", "cs100/ada:kept"]).await.code, 3);
    assert_eq!(
        desk.done(&["ssh", "cs100/ada", "--", "cat kept"]).await,
        "old
"
    );
    let names = desk.done(&["ssh", "cs100/ada", "--", "ls -a"]).await;
    assert!(!names.contains(".homeroom-"), "{names}");
    let _socket = std::os::unix::net::UnixListener::bind(desk.folder.path().join("socket")).unwrap();
    for (words, code, said) in [
        (&["kept", "cs100/ada:/no/such/place"][..], 3, "ada: /no/such/place there: there is no such file or folder\n"),
        (&["kept", "cs100/ada:none/"], 3, "ada: none/ there: there is no such folder\n"),
        (&["gone-{seat}", "cs100/ada:"], 3, "ada: gone-ada: No such file or directory\n"),
        (&["socket", "cs100/ada:"], 3, "ada: socket: it is neither a file nor a folder\n"),
        (&["task", "cs100/ada:"], 3, "ada: task: it is a folder; -r copies folders\n"),
        (&["cs100/ada:/tmp", "kept"], 3, "ada: /tmp there: it is a folder; -r copies folders\n"),
        (&["cs100/ada:gone", "kept"], 3, "ada: gone there: there is no such file or folder\n"),
    ] {
        let answer = desk.run(&[&["cp"], words].concat()).await;
        assert_eq!((answer.code, answer.out.as_str()), (code, said), "{words:?}: {}", answer.err);
    }
    assert_eq!(std::fs::read_to_string(desk.folder.path().join("kept")).unwrap(), "old\n");

    let usage = "homeroom cp FILE… LAB/SEAT:PATH, or LAB/SEAT:PATH… PLACE";
    let both = format!("homeroom: cs100/ada:a and cs100/grace:b are both on seats; {usage}");
    let neither = format!("homeroom: neither a nor b is on a seat (a path here with a colon is ./a); {usage}");
    let one_place =
        "homeroom: refused: 4 seats would write to here; put {seat} into the path, which stands for the seat's name";
    for (words, code, complaint) in [
        (&["cs100/ada:a", "cs100/grace:b"][..], 2, both.as_str()),
        (&["a", "b"], 2, &neither),
        (&["cs100:a", "here"], 4, one_place),
        (&["kept", "cs100/eve:"], 2, "homeroom: cs100 has no seat eve; it has ada, grace, linus, margaret"),
        (&["gone", "cs100:"], 1, "homeroom: cannot read gone: No such file or directory"),
        (&["kept", "cs101:"], 1, "homeroom: cs101 has no machines; `homeroom deploy cs101` makes them"),
    ] {
        assert_eq!(desk.run(&[&["cp"], words].concat()).await.refusal(), (code, complaint), "{words:?}");
    }
}
