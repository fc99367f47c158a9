// Package dashboard is the web page at /: what is wrong now, and every execution, live.
//
// It is static: a page, a style sheet and ES modules, which the browser loads as they stand
// here. There is no build step and no framework. The page reads the public API with the
// token of its user, so it shows what that token may read and can change nothing.
//
//	dashboard.go   serving the files
//	policy.go      what the page may load and connect to
//	index.html     the frame of every page: header, search, main, dialogs
//	style.css      the look, both themes
//
// The modules, from what knows least to what knows most:
//
//	dom.js         making elements; user data is always text
//	format.js      times, durations and numbers for people
//	arn.js         what an ARN or a URL of the AWS console says
//	json.js        reading JSON without changing a byte of it
//	tree.js        JSON as a tree that opens on demand
//	chart.js       charts as SVG
//	copy.js        the clipboard, also without TLS
//	announce.js    the one status region for screen readers
//	prefs.js       what is kept in localStorage: theme and shortcuts, never a token
//	session.js     the token and where it is kept
//	api.js         requests; one that gets 401 waits for a new token
//	stream.js      Server-Sent Events by fetch, reconnecting
//	query.js       the search language and what it means to the API
//	rows.js        the executions of a list, kept current by its feed
//	table.js       a table that renders only what is visible
//	search.js      the search box with its completion
//	keys.js        keyboard shortcuts and their help
//	router.js      the address of each view, below the fragment
//	commands.js    "copy as": statusctl, curl, aws
//	signin.js      the sign-in dialog
//	oidc.js        signing in at the issuer; loaded only where it is set up
//	timeline.js    attempts on a time line
//	overview.js, executions.js, execution.js, health.js  the pages
//	app.js         puts it together
//
// # How to change it
//
// Run statusdev with --dashboard-dir httpapi/dashboard and reload the browser after each
// change. Tests bound the size of all files together.
//
// The package imports nothing of ours.
package dashboard
