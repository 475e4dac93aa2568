//! Listings of the SDKs, page by page: each page is a call of its own, with its own room and attempts.

use std::error::Error;
use std::ops::ControlFlow;

use aws_sdk_autoscaling::operation as autoscaling;
use aws_sdk_cloudwatch::operation as cloudwatch;
use aws_sdk_ec2::operation as ec2;
use aws_smithy_async::future::pagination_stream::PaginationStream;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use fleet::Fault;

use super::access::Seat;
use crate::Deadline;
use crate::call::Call;

/// Pages that one listing may have: 20,000 records at a hundred a page.
const PAGES_MAX: usize = 200;

/// The pages of a listing, as the SDK asks for them.
pub(super) type Pages<T, E> = PaginationStream<Result<T, SdkError<E, HttpResponse>>>;

/// The pages that answer a request.
///
/// A token that comes twice would pass for the listing's end, and the listing for whole. So it is
/// followed, and the limit of pages says what is wrong.
macro_rules! pages_of {
    ($request:expr) => {
        $request.into_paginator().stop_on_duplicate_token(false).send()
    };
}
pub(super) use pages_of;

/// A page that says whether another one follows.
pub(super) trait Page {
    fn is_last(&self) -> bool;
}

macro_rules! pages {
    ($($page:path),+ $(,)?) => {$(
        impl Page for $page {
            fn is_last(&self) -> bool {
                self.next_token().is_none_or(str::is_empty)
            }
        }
    )+};
}

pages![
    autoscaling::describe_auto_scaling_groups::DescribeAutoScalingGroupsOutput,
    autoscaling::describe_policies::DescribePoliciesOutput,
    autoscaling::describe_scaling_activities::DescribeScalingActivitiesOutput,
    autoscaling::describe_scheduled_actions::DescribeScheduledActionsOutput,
    cloudwatch::describe_alarms::DescribeAlarmsOutput,
    cloudwatch::get_metric_data::GetMetricDataOutput,
    cloudwatch::list_metrics::ListMetricsOutput,
    ec2::describe_images::DescribeImagesOutput,
    ec2::describe_instance_types::DescribeInstanceTypesOutput,
    ec2::describe_instances::DescribeInstancesOutput,
    ec2::describe_snapshots::DescribeSnapshotsOutput,
    ec2::describe_volumes::DescribeVolumesOutput,
];

impl Seat {
    /// The next page; `None` after the last.
    pub(super) async fn next_page<T, E>(
        &self,
        call: Call,
        pages: &mut Pages<T, E>,
        deadline: Deadline,
    ) -> Result<Option<T>, Fault>
    where
        T: Send + 'static,
        E: ProvideErrorMetadata + Error + Send + 'static,
    {
        self.call(call, deadline, pages.try_next()).await
    }

    /// Reads a whole listing, each of its pages handed to `take`.
    pub(super) async fn listing<T, E>(
        &self,
        call: Call,
        pages: Pages<T, E>,
        deadline: Deadline,
        mut take: impl FnMut(T) + Send,
    ) -> Result<(), Fault>
    where
        T: Page + Send + 'static,
        E: ProvideErrorMetadata + Error + Send + 'static,
    {
        let take = |page| {
            take(page);
            ControlFlow::Continue(())
        };
        self.listing_until(call, pages, PAGES_MAX, deadline, take).await
    }

    /// Reads a listing of so many pages at most, until `take` has enough.
    pub(super) async fn listing_until<T, E>(
        &self,
        call: Call,
        mut pages: Pages<T, E>,
        most: usize,
        deadline: Deadline,
        mut take: impl FnMut(T) -> ControlFlow<()> + Send,
    ) -> Result<(), Fault>
    where
        T: Page + Send + 'static,
        E: ProvideErrorMetadata + Error + Send + 'static,
    {
        for _ in 0..most {
            let Some(page) = self.next_page(call, &mut pages, deadline).await? else {
                return Ok(());
            };
            let last = page.is_last();
            if take(page).is_break() || last {
                return Ok(());
            }
        }
        Err(call.endless(most))
    }
}
