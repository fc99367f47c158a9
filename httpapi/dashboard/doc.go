// Package dashboard serves the web page at /, which shows what is wrong now, and every
// execution, live.
//
// The page is static: HTML, a style sheet and ES modules. The browser loads these files
// unchanged. There is no build step and no framework. The page reads the public API with the
// token of its user. So it shows only what that token may read, and changes nothing.
//
//	dashboard.go   serves the files
//	policy.go      what the page may load and connect to
//	tokenendpoint.go  where the token endpoint of the issuer is
//	index.html     the frame of every page: header, search, main, dialogs
//	style.css      the look, both themes
//
// The modules; each imports only modules above it:
//
//	dom.js         makes elements. Strings become text nodes and nothing else, so the text of a
//	               user or a state machine is never read as markup. Formats times, durations,
//	               numbers and statuses.
//	router.js      the parts of an ARN, and the URL of each view. The view is in the fragment, so
//	               the page works below any path prefix, and no search reaches the log of a proxy.
//	chart.js       charts as SVG, and attempts on a time line. Each describes itself in words.
//	notify.js      messages for screen readers, toasts, the light in the header, the line at the
//	               foot that says why the page may be out of date, and the clipboard
//	keys.js        keyboard shortcuts, which can be switched off (WCAG 2.1.4), their help, and
//	               the preferences in localStorage, which never has a token
//	api.js         the token, requests and streams. The token is in memory, or, if the user wants
//	               that, in sessionStorage, which the browser empties when the tab is closed.
//	               It is never in a URL or a cookie. A request that gets 401 waits for a new
//	               token. Streams reconnect. This module runs before the rest of the page is loaded, and begins to
//	               load the first view before the first frame.
//	search.js      the search box, its language, and the translation into parameters of the API
//	rows.js        the executions of a list, which a feed keeps current. Rows on the screen change
//	               in place. New rows wait until the user wants them, so that nothing moves under
//	               the pointer.
//	table.js       a table that renders only visible rows. A row keeps its element, so that focus
//	               and selection stay when other rows come and go.
//	commands.js    "copy as": the page changes nothing itself, but copies commands that the user
//	               runs elsewhere with their own rights. Also the first steps on an empty page.
//	signin.js      the sign-in dialog, which covers the view, and signing in at the issuer
//	output.js      an output as a tree and as raw text, without changing a byte of it
//	overview.js, executions.js, execution.js, health.js  the pages
//	app.js         starts the page and switches between views
//
// The modules have no comments about their purpose, because the size of all files that a browser
// loads is limited, see below.
//
// # What the page may say
//
// Each sentence on the page is about what the service has reported, and when. While the service
// does not answer, or reports that it is degraded, the line at the foot says so on every page.
// While it does not answer, statements that something does not exist ("no failure is known",
// "no execution matches") are hidden, and the durations of running executions stop.
//
// # How to change it
//
// Run statusdev with --dashboard-dir httpapi/dashboard and reload the browser after each
// change. A test limits the size of all files together.
//
// The package imports no other package of this project.
package dashboard
