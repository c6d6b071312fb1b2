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
