use certgate_testkit::TestApp;
use serde_json::{Value, json};

const PATH: &str = "/zones/{zone}/client_certificates";

fn names(answer: &Value) -> Vec<&str> {
    answer["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["common_name"].as_str().unwrap())
        .collect()
}

async fn list(app: &TestApp, query: &str) -> Value {
    let answer = app.get(&format!("{PATH}{query}")).await;
    answer.result();
    answer.json()
}

#[tokio::test]
async fn an_empty_zone_has_zero_pages() {
    let app = TestApp::new().await;
    let answer = list(&app, "").await;
    assert_eq!(answer["result"], json!([]));
    let info = json!({ "page": 1, "per_page": 20, "count": 0, "total_count": 0, "total_pages": 0 });
    assert_eq!(answer["result_info"], info);
}

#[tokio::test]
async fn pages_are_newest_first_and_end_with_an_empty_one() {
    let app = TestApp::new().await;
    for number in 0..23 {
        app.issue(&format!("c{number}")).await;
    }
    let first = list(&app, "").await;
    assert_eq!(names(&first)[..2], ["c22", "c21"]);
    let info =
        json!({ "page": 1, "per_page": 20, "count": 20, "total_count": 23, "total_pages": 2 });
    assert_eq!(first["result_info"], info);
    assert_eq!(names(&list(&app, "?page=2").await), ["c2", "c1", "c0"]);

    // Clients stop only on an empty page: it is not an error, and the page is not clamped.
    for page in [3_u64, 1_000_000, 9_007_199_254_740_991] {
        let past = list(&app, &format!("?page={page}")).await;
        assert_eq!(past["result"], json!([]));
        let info = json!({ "page": page, "per_page": 20, "count": 0, "total_count": 23, "total_pages": 2 });
        assert_eq!(past["result_info"], info);
    }
}

#[tokio::test]
async fn limit_and_offset_stay_while_the_page_rises() {
    let app = TestApp::new().await;
    for number in 0..7 {
        app.issue(&format!("c{number}")).await;
    }
    assert_eq!(
        names(&list(&app, "?limit=2&offset=0&page=1").await),
        ["c6", "c5"]
    );
    let third = list(&app, "?limit=2&offset=0&page=3").await;
    assert_eq!(names(&third), ["c2", "c1"]);
    let info = json!({ "page": 3, "per_page": 2, "count": 2, "total_count": 7, "total_pages": 4 });
    assert_eq!(third["result_info"], info);
    assert_eq!(
        names(&list(&app, "?limit=2&offset=3&page=2").await),
        ["c1", "c0"]
    );
    assert_eq!(
        names(&list(&app, "?limit=2&offset=3&page=3").await),
        Vec::<&str>::new()
    );
    assert_eq!(names(&list(&app, "?offset=6").await), ["c0"]);
    // The total does not depend on the offset.
    assert_eq!(
        list(&app, "?offset=6").await["result_info"]["total_count"],
        7
    );
    assert_eq!(
        names(&list(&app, "?limit=2&per_page=5&page=1.0").await),
        ["c6", "c5"]
    );
}

#[tokio::test]
async fn a_list_right_after_a_write_shows_it() {
    let app = TestApp::new().await;
    let counts = async |query: &str| {
        list(&app, query).await["result_info"]["total_count"]
            .as_u64()
            .unwrap()
    };
    for round in 0..5 {
        let issued = app.issue("x").await;
        assert_eq!(list(&app, "").await["result"][0], issued);
        assert_eq!(counts("?status=active").await, 1);
        let path = format!("{PATH}/{}", issued["id"].as_str().unwrap());
        app.delete(&path).await.result();
        assert_eq!(counts("?status=active").await, 0);
        assert_eq!(
            list(&app, "?status=Pending_Revocation").await["result"][0]["id"],
            issued["id"]
        );
        app.settle().await;
        assert_eq!(counts("?status=revoked").await, round + 1);
        assert_eq!(counts("?status=pending_revocation").await, 0);
        assert_eq!(counts("?status=all").await, round + 1);
    }
}

#[tokio::test]
async fn a_zone_lists_only_its_own_certificates() {
    let app = TestApp::new().await;
    let account = json!({ "id": app.account_id });
    let other = app
        .post(
            "/zones",
            json!({ "name": "other.example", "account": account }),
        )
        .await
        .result();
    let other = other["id"].as_str().unwrap();
    let issued = app.issue("mine").await;
    let id = issued["id"].as_str().unwrap();
    assert_eq!(
        app.get(&format!("/zones/{other}/client_certificates"))
            .await
            .result(),
        json!([])
    );
    for answer in [
        app.get(&format!("/zones/{other}/client_certificates/{id}"))
            .await,
        app.delete(&format!("/zones/{other}/client_certificates/{id}"))
            .await,
        app.patch(&format!("/zones/{other}/client_certificates/{id}"))
            .await,
    ] {
        let error = answer.error();
        assert_eq!((error.status, error.code), (404, 1415));
    }
    assert_eq!(
        app.get(&format!("{PATH}/{id}")).await.result()["status"],
        "active"
    );
}

#[tokio::test]
async fn a_large_page_that_is_sent_in_parts_equals_the_small_pages() {
    let app = TestApp::new().await;
    for number in 0..150 {
        app.issue(&format!("c{number}")).await;
    }
    for (status, total) in [("all", 150), ("active", 150), ("revoked", 0)] {
        let mut expected = Vec::new();
        for page in 1..=3 {
            let small = list(&app, &format!("?status={status}&per_page=50&page={page}")).await;
            expected.extend(small["result"].as_array().unwrap().clone());
        }
        assert_eq!(expected.len(), total);
        for (query, first, count) in [
            ("limit=1000", 0, total),
            ("limit=149", 0, total.min(149)),
            ("limit=130&offset=10", 10.min(total), total.min(130)),
        ] {
            let answer = app.get(&format!("{PATH}?status={status}&{query}")).await;
            let large = answer.json();
            assert_eq!(
                large["result"],
                json!(expected[first..first + count]),
                "{query}"
            );
            let info = &large["result_info"];
            assert_eq!(
                (&info["count"], &info["total_count"]),
                (&json!(count), &json!(total))
            );
            let members: Vec<_> = large.as_object().unwrap().keys().collect();
            let small = list(&app, "").await;
            assert_eq!(
                members,
                small.as_object().unwrap().keys().collect::<Vec<_>>()
            );
        }
    }
}
