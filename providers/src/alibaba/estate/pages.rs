//! Listings of several products, page by page: some number their pages, others hand out tokens.

use fleet::{Fault, FaultKind};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Deadline;
use crate::alibaba::access::Seat;
use crate::alibaba::endpoint::Product;
use crate::alibaba::params::Params;
use crate::call::Call;

/// Pages that one listing may have: 100,000 records.
const PAGES_MAX: usize = 1000;
/// Records of a page: the least that every product takes.
const FEW: usize = 10;

/// A listing: the call, and where its answer has what.
#[derive(Clone, Copy, Debug)]
pub(in crate::alibaba) struct ListingCall {
    pub(in crate::alibaba) call: Call,
    product: Product,
    /// Where the records are in an answer, as a JSON pointer.
    records: &'static str,
    paging: Paging,
}

/// How a listing is turned over.
#[derive(Clone, Copy, Debug)]
enum Paging {
    /// By a token; the name of the parameter for a page's size, and the size.
    Token(&'static str, usize),
    /// By number; the parameter's name, a page's size, and where the answer says how many there are.
    Number(&'static str, usize, &'static str),
    /// All at once.
    Whole,
}

impl ListingCall {
    pub(super) const fn by_token(
        service: (&'static str, Product),
        operation: &'static str,
        records: &'static str,
        size: (&'static str, usize),
    ) -> ListingCall {
        let call = Call::read(service.0, operation);
        ListingCall { call, product: service.1, records, paging: Paging::Token(size.0, size.1) }
    }

    pub(in crate::alibaba) const fn by_number(
        service: (&'static str, Product),
        operation: &'static str,
        records: &'static str,
        size: usize,
    ) -> ListingCall {
        let call = Call::read(service.0, operation);
        let paging = Paging::Number("PageNumber", size, "/TotalCount");
        ListingCall { call, product: service.1, records, paging }
    }

    /// With another name for a page's number, and another place for how many records there are.
    pub(super) const fn numbered(self, number: &'static str, total: &'static str) -> ListingCall {
        let paging = match self.paging {
            Paging::Number(_, size, _) => Paging::Number(number, size, total),
            other => other,
        };
        ListingCall { paging, ..self }
    }

    pub(super) const fn whole(
        service: (&'static str, Product),
        operation: &'static str,
        records: &'static str,
    ) -> ListingCall {
        let call = Call::read(service.0, operation);
        ListingCall { call, product: service.1, records, paging: Paging::Whole }
    }

    /// Every record of every page.
    ///
    /// # Errors
    /// Where any page could not be read: half a list would pass for the whole.
    pub(in crate::alibaba) async fn all<T: DeserializeOwned>(
        self,
        seat: &Seat,
        params: Params,
        deadline: Deadline,
    ) -> Result<Vec<T>, Fault> {
        let mut all: Vec<T> = Vec::new();
        let mut token: Option<String> = None;
        for number in 1..=PAGES_MAX {
            let asked = match self.paging {
                Paging::Token(size, count) => {
                    params.clone().with(size, count).with_some("NextToken", token.take())
                }
                Paging::Number(name, count, _) => {
                    params.clone().with(name, number).with("PageSize", count)
                }
                Paging::Whole => params.clone(),
            };
            let mut page: Value = seat.call(self.call, self.product, asked, deadline).await?;
            let records = page.pointer_mut(self.records).map(Value::take);
            let records = records.ok_or_else(|| {
                self.call
                    .fault(FaultKind::Unreadable, format!("an answer without {}", self.records))
            })?;
            let mut records: Vec<T> = serde_json::from_value(records)
                .map_err(|error| self.call.fault(FaultKind::Unreadable, error.to_string()))?;
            let last = records.is_empty();
            all.append(&mut records);
            let done = match self.paging {
                Paging::Whole => true,
                Paging::Token(..) => {
                    let next = page["NextToken"].as_str().filter(|token| !token.is_empty());
                    token = next.map(str::to_owned);
                    token.is_none()
                }
                Paging::Number(_, _, total) => last || all.len() >= self.total(&page, total)?,
            };
            if done {
                return Ok(all);
            }
        }
        Err(self.call.endless(PAGES_MAX))
    }

    /// The first record, of a page as small as every product makes them: for whoever asks whether the
    /// call is allowed.
    ///
    /// # Errors
    /// Where the page could not be read.
    pub(in crate::alibaba) async fn first(
        self,
        seat: &Seat,
        params: Params,
        deadline: Deadline,
    ) -> Result<Option<Value>, Fault> {
        let asked = match self.paging {
            Paging::Token(size, _) => params.with(size, FEW),
            Paging::Number(name, ..) => params.with(name, 1).with("PageSize", FEW),
            Paging::Whole => params,
        };
        let page: Value = seat.call(self.call, self.product, asked, deadline).await?;
        Ok(page.pointer(self.records).and_then(|records| records.get(0)).cloned())
    }

    /// How many records there are; some products write the number as a text.
    fn total(self, page: &Value, place: &str) -> Result<usize, Fault> {
        let found = page.pointer(place);
        let number = found.and_then(|found| match found {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        number.and_then(|number| usize::try_from(number).ok()).ok_or_else(|| {
            self.call.fault(FaultKind::Unreadable, format!("an answer without {place}"))
        })
    }
}
