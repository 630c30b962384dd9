package web

import (
	"errors"
	"net/http"

	"promrelay/targets"
)

// explainAPI answers /api/v1/explain. Its parameters are kind, namespace and name.
func explainAPI(r *http.Request, src *Sources) (data any, warnings []string, err error) {
	s, err := targets.ParseSubject(r.FormValue("kind"), r.FormValue("namespace"), r.FormValue("name"))
	if err != nil {
		return nil, nil, apiError{badData, err}
	}
	if src.Explain == nil {
		return nil, nil, apiError{unavailable, errors.New("nothing can be explained here")}
	}
	return src.Explain(s), nil, nil
}
