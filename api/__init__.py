'''HTTP only: who calls, parse, call one verb of `dispatch`, render. No rule lives here.

One file a resource. A route is three lines: the parsed body (or path, or query) comes in, one verb is called, its rows
are rendered:

    territories = resource("territories", "Where an organization serves.")


    class NewTerritory(Body):
        """A territory to be added."""

        name: Name
        center: Place


    class TerritoryPath(Path):
        territory_id: Id


    class TerritoryQuery(PageQuery):
        time_zone: str | None = None


    class TerritoryOut(Answer):
        """A territory, built from its row."""

        id: str
        name: Name


    class TerritoryPage(Page[TerritoryOut]):
        """One page of territories."""


    @territories.post("/territories", summary="Add a territory", responses={201: TerritoryOut})
    @allow("dispatcher")
    def create(body: NewTerritory) -> Response:
        territory = add_territory(context.session(), context.principal(), body, context.now())
        return answer(TerritoryOut.model_validate(territory), 201, version=territory.version)


    @territories.get("/territories", summary="List territories", responses={200: TerritoryPage})
    @allow("dispatcher", "integration")
    def read_all(query: TerritoryQuery) -> Response:
        wanted = territories_of(context.principal())  # a select()
        rows, cursor = paginate(context.session(), wanted, query, by=[col(Territory.name), col(Territory.id)])
        return answer(page_of(TerritoryPage, rows, cursor))

The parameters' names are flask-openapi's: `path`, `query`, `body` (and `form`). Then name the blueprint in
`app.RESOURCES`.

- `@allow("dispatcher", ...)` stands below the route's decorator; `@allow(PUBLIC)` lets anyone call, with or without a
  key. It is looked up before anything is parsed. A route under /v1, or one that changes something, does not start
  without it.
- A view without `body` refuses any but `{}`. A body in which nothing is required may be left out.
- `body.changes()` are the fields that a PATCH sent. `require_match(row.version)` compares If-Match, after the row was
  found to be the caller's; `required=False` for PATCH and PUT.
- Errors are raised as `dispatch.errors`; nothing is caught here. Verbs flush, the request commits. A GET may only read.
- `context.after_commit(work)` for what must not happen if the request fails.
- Optional members that are left out rather than null: `Field(None, exclude_if=absent)`.
- Errors, Idempotency-Key, callers and headers join the OpenAPI document by themselves.
'''
