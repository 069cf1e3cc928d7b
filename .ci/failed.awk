# SPDX-License-Identifier: Apache-2.0
#
# Prints what the failed tests of a `go test -v` log said, from its end as much as helps.
/^=== (RUN|CONT|NAME|PAUSE)/ { name = $3; sub(/\/.*/, "", name); next }
/^--- (PASS|SKIP)/ { delete said[$3]; next }
/^--- FAIL/ { failed[++count] = $3; next }
/^(ok|FAIL|PASS)/ { name = ""; next }
name != "" { said[name] = said[name] $0 "\n" }
END {
	for (i = 1; i <= count; i++) {
		text = said[failed[i]]
		if (length(text) > 6000)
			text = "[...]" substr(text, length(text) - 6000)
		printf "what %s said:\n%s", failed[i], text
	}
}
