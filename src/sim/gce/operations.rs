//! Operations: what a call that takes time answers with, and how it ends.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Made, Outcome, missing},
    list::Wish,
    world::{Due, Ms, Operation, World},
};

/// From the answer to the first step of the work.
const QUEUE: Ms = 200;

/// How an operation ends badly: its HTTP status, its message, its error.
pub(super) type Failure = (u16, String, Value);

impl World {
    /// Writes an operation down; its name.
    pub(super) fn operation(
        &mut self,
        kind: &str,
        target: &str,
        target_id: Option<u64>,
        zone: &str,
        request: Option<&str>,
    ) -> String {
        let id = self.id();
        let name = format!("operation-{}-{id:x}", self.epoch * 1000 + i64::try_from(self.now).unwrap_or(0));
        let place = if zone.is_empty() { "global".to_owned() } else { format!("zones/{zone}") };
        let mut body = json!({
            "kind": "compute#operation",
            "id": id.to_string(),
            "name": name,
            "operationType": kind,
            "targetLink": self.link(target),
            "targetId": target_id.unwrap_or(id).to_string(),
            "status": "PENDING",
            "user": "admin@example.org",
            "progress": 0,
            "insertTime": self.stamp(self.now),
            "selfLink": self.link(&format!("{place}/operations/{name}")),
        });
        if !zone.is_empty() {
            body["zone"] = json!(self.link(&format!("zones/{zone}")));
        }
        if let Some(request) = request {
            body["clientOperationId"] = json!(request);
            self.requests.insert(request.to_owned(), name.clone());
        }
        self.operations.insert(name.clone(), Operation { body, done: false });
        self.after(QUEUE, Due::Begin(name.clone()));
        name
    }

    /// What was answered to a request id before.
    pub(super) fn repeated(&self, request: Option<&str>) -> Option<Value> {
        let name = self.requests.get(request?)?;
        self.operations.get(name).map(|operation| operation.body.clone())
    }

    pub(super) fn shown(&self, name: &str) -> Value {
        self.operations.get(name).map_or(Value::Null, |operation| operation.body.clone())
    }

    pub(super) fn begin(&mut self, name: &str) {
        let stamp = self.stamp(self.now);
        if let Some(operation) = self.operations.get_mut(name).filter(|operation| !operation.done) {
            operation.body["status"] = json!("RUNNING");
            operation.body["startTime"] = json!(stamp);
        }
    }

    pub(super) fn end(&mut self, name: &str, failure: Option<Failure>) {
        let stamp = self.stamp(self.now);
        let Some(operation) = self.operations.get_mut(name).filter(|operation| !operation.done) else { return };
        operation.done = true;
        if operation.body.get("startTime").is_none() {
            operation.body["startTime"] = json!(stamp);
        }
        operation.body["status"] = json!("DONE");
        operation.body["progress"] = json!(100);
        operation.body["endTime"] = json!(stamp);
        if let Some((status, message, error)) = failure {
            operation.body["httpErrorStatusCode"] = json!(status);
            operation.body["httpErrorMessage"] = json!(message);
            operation.body["error"] = error;
        }
    }

    fn lies(&self, place: &str, name: &str) -> Result<&Operation, Answer> {
        let found = self.operations.get(name).filter(|operation| match operation.body["zone"].as_str() {
            Some(zone) => zone.ends_with(&format!("/{place}")),
            None => place == "global",
        });
        found.ok_or_else(|| missing(&self.named(&format!("{place}/operations/{name}"))))
    }
}

pub(super) fn get(world: &World, place: &str, name: &str) -> Made {
    world.lies(place, name).map(|operation| operation.body.clone())
}

/// Answers when it is done, at the latest after two minutes.
pub(super) fn wait(world: &World, place: &str, name: &str) -> Outcome {
    match world.lies(place, name) {
        Err(answer) => Outcome::Now(answer),
        Ok(operation) if operation.done => Outcome::Now(Answer::json(operation.body.clone())),
        Ok(_) => Outcome::WhenDone { operation: name.to_owned(), latest: world.now() + world.physics.wait },
    }
}

pub(super) fn list(world: &World, place: &str, query: &[(String, String)]) -> Made {
    let items = world.operations.values().filter(|operation| match operation.body["zone"].as_str() {
        Some(zone) => zone.ends_with(&format!("/{place}")),
        None => place == "global",
    });
    let items = items.map(|operation| operation.body.clone()).collect();
    let path = world.named(&format!("{place}/operations"));
    Ok(Wish::read(query)?.answer("compute#operationList", &path, &world.link(&format!("{place}/operations")), items))
}
