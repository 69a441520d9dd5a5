//! `homeroom demo` with a real engine beside it: it says which workshop is real, makes nothing before it is asked to,
//! and leaves nothing behind, however it ends.

use rustix::process::Signal;

use super::Lab;
use crate::program::demo::Demo;

const MARK: &str = "label=homeroom.demo";
/// Wide enough for a whole line of news.
const SIZE: (u16, u16) = (200, 40);

impl Lab {
    /// Containers, networks and images with a demo's mark, by name.
    fn of_demos(&self) -> Vec<String> {
        let asked = [
            ["ps", "--all", "--filter", MARK, "--format", "{{.Names}}"],
            ["network", "ls", "--filter", MARK, "--format", "{{.Name}}"],
            ["images", "--all", "--filter", MARK, "--format", "{{.Repository}}"],
        ];
        let mut names: Vec<String> =
            asked.iter().flat_map(|args| self.asked(args).lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        names.sort();
        names
    }

    fn images(&self) -> Vec<String> {
        let mut images: Vec<String> = self.asked(&["images", "--all", "--quiet"]).lines().map(str::to_owned).collect();
        images.sort();
        images
    }
}

/// A demo at its workshop on the real engine.
fn started(lab: &Lab) -> Demo {
    let mut demo = Demo::with_engine("20", SIZE, &lab.socket);
    demo.terminal.until("hello-docker is for your real Docker engine, rust-intro is simulated");
    demo.terminal.until("nothing is made there before you deploy it");
    demo.terminal.press("3");
    demo.terminal.until_row("hello-docker", "defined");
    demo
}

/// Deploys it, up to the first container.
fn deploying(lab: &Lab) -> Demo {
    let mut demo = started(lab);
    assert_eq!(lab.of_demos(), [""; 0], "nothing is made before somebody asks for it");
    demo.terminal.press("d");
    demo.terminal.until("enter deploy");
    demo.terminal.press("\r");
    demo
}

#[test]
#[ignore = "needs a Docker engine"]
fn the_demos_workshop_on_a_real_engine_is_made_when_asked_for_and_goes_with_the_demo() {
    let lab = Lab::new(1);
    let before = lab.images();
    let mut demo = deploying(&lab);
    demo.terminal.until_row("hello-docker", "2/2");
    // The proxy may be the last: whoever leaves before the run is over is asked.
    demo.terminal.until_row("hello-docker", "ok 3 ready");
    let made = ["hello-docker-host", "hello-docker-host", "hello-docker-seat-01", "hello-docker-seat-02"];
    let images = ["homeroom-demo/proxy", "homeroom-demo/seat"];
    assert_eq!(lab.of_demos(), [&made[..], &images].concat());
    assert_eq!(lab.names(), ["hello-docker-host", "hello-docker-seat-01", "hello-docker-seat-02"], "our labels too");
    demo.terminal.press("q");
    assert_eq!(demo.assert_gone_without_a_trace(), 0);
    assert_eq!((lab.of_demos(), lab.images()), (Vec::new(), before));
    lab.nothing_is_left();
}

#[test]
#[ignore = "needs a Docker engine"]
fn a_demo_that_is_signalled_in_the_middle_of_a_deploy_leaves_nothing_on_the_engine() {
    let lab = Lab::new(1);
    let before = lab.images();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut demo = deploying(&lab);
        lab.until("something of the demo's", || lab.of_demos().iter().any(|name| name.contains("-seat-")));
        demo.terminal.signal(signal);
        assert_eq!(demo.assert_gone_without_a_trace(), 130, "{signal:?}");
        assert_eq!((lab.of_demos(), lab.images()), (Vec::new(), before.clone()), "{signal:?}");
        lab.nothing_is_left();
    }
}

#[test]
#[ignore = "needs a Docker engine"]
fn what_a_killed_demo_left_goes_with_the_next_one_and_a_living_ones_stays() {
    let lab = Lab::new(1);
    let before = lab.images();
    let mut demo = deploying(&lab);
    demo.terminal.until_row("hello-docker", "2/2");
    let left = lab.of_demos();
    // A second one beside it: it touches nothing of the first.
    let mut second = started(&lab);
    assert_eq!(lab.of_demos(), left);
    second.terminal.press("q");
    assert_eq!(second.assert_gone_without_a_trace(), 0);
    assert_eq!(lab.of_demos(), left);
    demo.terminal.signal(Signal::KILL);
    drop(demo);
    let mut next = started(&lab);
    assert_eq!(lab.of_demos(), [""; 0]);
    next.terminal.press("q");
    assert_eq!(next.assert_gone_without_a_trace(), 0);
    assert_eq!(lab.images(), before);
}
