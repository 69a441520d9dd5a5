//! One request, before it is sent. Pure.

use reqwest::Method;

use super::encode::Form;
use crate::domain::NodeName;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    /// What is being done, as errors say it: `clone 9000 to 9101 on pve1`.
    pub what: String,
    pub method: Method,
    pub path: String,
    pub form: Form,
    pub node: Option<NodeName>,
    /// Sending it twice does no harm.
    pub repeatable: bool,
}

impl Ask {
    fn new(method: Method, what: impl Into<String>, path: String) -> Self {
        let repeatable = method == Method::GET;
        Self { what: what.into(), method, path, form: Form::new(), node: None, repeatable }
    }

    pub fn get(what: impl Into<String>, path: String) -> Self {
        Self::new(Method::GET, what, path)
    }

    pub fn post(what: impl Into<String>, path: String) -> Self {
        Self::new(Method::POST, what, path)
    }

    pub fn put(what: impl Into<String>, path: String) -> Self {
        Self::new(Method::PUT, what, path)
    }

    pub fn delete(what: impl Into<String>, path: String) -> Self {
        Self::new(Method::DELETE, what, path)
    }

    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The node it concerns, whose own address is the best to ask.
    pub fn at(mut self, node: &NodeName) -> Self {
        self.node = Some(node.clone());
        self
    }

    /// Asking changes what the next one gets: never sent twice.
    pub fn used_up(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// Sending it twice does no harm although it is no GET.
    pub fn harmless(mut self) -> Self {
        self.repeatable = true;
        self
    }
}
