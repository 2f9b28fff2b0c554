use Mojolicious::Lite -signatures;
use Mojo::File qw(path);

get '/'        => sub ($c) { $c->render(text => '<p>hello from Mojolicious</p>') };
get '/version' => sub ($c) { $c->render(json => {commit => path('/app/COMMIT')->slurp}) };
app->start;
