"""No test waits without an end."""


def test_every_test_has_a_time_limit_that_is_kept(request):
    assert request.config.pluginmanager.hasplugin("timeout"), "install the extra `dev` again: pytest-timeout is missing"
    assert request.node.get_closest_marker("timeout").args[0] > 0
