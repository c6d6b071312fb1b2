use certgate_testkit::TestApp;

#[tokio::test]
async fn health_readiness_and_metrics_need_no_token() {
    let app = TestApp::new().await;
    for (path, text) in [
        ("/!healthz", "ok\n"),
        ("/!readyz", "ready\n"),
        ("/!metrics", "# no recorder in tests\n"),
    ] {
        let answer = app.get(path).anonymous().await;
        assert_eq!((answer.status.as_u16(), answer.bytes), (200, text.into()));
    }
}

#[tokio::test]
async fn readiness_names_the_tasks_that_do_not_run() {
    let app = TestApp::without_tasks(&["settler", "public listener"]).await;
    let answer = app.get("/!readyz").anonymous().await;
    assert_eq!(answer.status.as_u16(), 503);
    let text = String::from_utf8_lossy(&answer.bytes);
    assert!(text.contains("settler, public listener"), "{text}");
    assert_eq!(app.get("/!healthz").anonymous().await.status.as_u16(), 200);
}
