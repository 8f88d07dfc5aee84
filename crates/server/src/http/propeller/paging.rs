//! Lists that the product gives page by page, by number.

use crate::http::page::UpTo;
use serde::Serialize;
use utoipa::ToSchema;

/// The number of a page.
pub type PageNumber = UpTo<{ u32::MAX }, 1>;

/// How much there is on a page.
pub type PageSize = UpTo<100, 12>;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PropellerPage<T> {
    /// What is on the page.
    data: Vec<T>,
    /// The number of the last entry of the page, counted from 1.
    end: usize,
    /// How many there are on all pages.
    #[serde(rename = "itemsFound")]
    items_found: usize,
    messages: Vec<String>,
    /// How many there are on a page.
    #[schema(example = 12)]
    offset: usize,
    /// The number of the page, counted from 1.
    #[schema(example = 1)]
    page: usize,
    /// How many pages there are.
    pages: usize,
    /// The number of the first entry of the page, counted from 1.
    start: usize,
    /// How many there are on this page.
    total: usize,
}

impl<T> PropellerPage<T> {
    /// A page of all that there are.
    pub fn of(all: Vec<T>, page: PageNumber, size: PageSize) -> Self {
        let (page, offset) = (page.0 as usize, size.0 as usize);
        let items_found = all.len();
        let before = (page - 1).saturating_mul(offset);
        let data: Vec<T> = all.into_iter().skip(before).take(offset).collect();
        let (start, end) = if data.is_empty() { (0, 0) } else { (before + 1, before + data.len()) };
        let (pages, total) = (items_found.div_ceil(offset), data.len());
        Self { data, end, items_found, messages: Vec::new(), offset, page, pages, start, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_where_it_is_and_how_many_there_are() {
        let page = |page: Option<u32>, size: Option<u32>| {
            let all = (1..=30).collect();
            let page = PropellerPage::of(all, page.map(UpTo).unwrap_or_default(), size.map(UpTo).unwrap_or_default());
            (page.data, page.start, page.end, page.page, page.pages, page.items_found, page.total)
        };
        assert_eq!(page(None, None), ((1..=12).collect(), 1, 12, 1, 3, 30, 12));
        assert_eq!(page(Some(3), None), ((25..=30).collect(), 25, 30, 3, 3, 30, 6));
        assert_eq!(page(Some(4), Some(10)), (vec![], 0, 0, 4, 3, 30, 0));
        assert_eq!(page(Some(u32::MAX), Some(100)).0, Vec::<i32>::new());
    }
}
