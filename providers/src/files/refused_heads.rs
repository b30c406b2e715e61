//! A web server need not know the method `HEAD`, and says so in more than one way. The store knows one of them, as which all are told.

use async_trait::async_trait;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector};
use object_store::{ClientOptions, Result as StoreResult};

/// The method is not allowed: the store tells it as a file that is not there, and does not ask again.
const NOT_ALLOWED: u16 = 405;

/// Bad request, and not implemented: so answer servers that do not know the method at all.
const UNKNOWN: [u16; 2] = [400, 501];

/// Makes clients of a web server.
#[derive(Debug, Default)]
pub(super) struct RefusedHeads(ReqwestConnector);

impl HttpConnector for RefusedHeads {
    fn connect(&self, options: &ClientOptions) -> StoreResult<HttpClient> {
        Ok(HttpClient::new(Asking(self.0.connect(options)?)))
    }
}

#[derive(Debug)]
struct Asking(HttpClient);

#[async_trait]
impl HttpService for Asking {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_head = request.method() == "HEAD";
        let mut response = self.0.execute(request).await?;
        if is_head && UNKNOWN.contains(&response.status().as_u16()) {
            *response.status_mut() = NOT_ALLOWED.try_into().expect("it is a status");
        }
        Ok(response)
    }
}
