// Runs before the first paint, so that a chosen theme does not flash the other one. A classic
// script: modules run too late.
(() => {
    let theme = null;
    try {
        theme = localStorage.getItem('rproxy.theme');
    } catch {
        // Storage may be forbidden; the system's preference is used then.
    }
    if (theme === 'light' || theme === 'dark') {
        document.documentElement.dataset.theme = theme;
    }
})();
